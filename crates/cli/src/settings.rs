//! The settings of a broker, in one table: from it come the flags, the environment's variables, the
//! keys of the file, what `--print-config` shows, and the defaults in `--help`.

mod fault;
mod file;
mod flags;
mod layers;
mod nearest;
mod show;
mod table;

pub(crate) use fault::Fault;
pub(crate) use flags::SettingFlags;
pub(crate) use layers::{Flags, Settings, SettingsError, UnknownVariable};
pub(crate) use table::{read_broker, read_count, read_endpoint, read_offer, read_service};
