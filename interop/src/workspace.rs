//! Where things are in the workspace.

use std::env;
use std::path::{Path, PathBuf};

/// This package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The workspace, one above.
pub(crate) fn root() -> &'static Path {
    package().parent().expect("the package is in a workspace")
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target`.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
