//! Broker settings, defined in one table. The table produces the flags, the environment variables,
//! the keys of the file, the output of `--print-config`, and the defaults in `--help`.

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
