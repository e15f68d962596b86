//! Paths in the workspace.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the path of this package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of the workspace, the parent directory.
pub(crate) fn root() -> &'static Path {
    package().parent().expect("the package is in a workspace")
}

/// Returns cargo's build directory: `CARGO_TARGET_DIR`, or `target`.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
