//! The sources of settings and their precedence: flags override the environment, the environment
//! overrides the file, and the file overrides the defaults.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use majordomus_broker::{
    Balance, Config, ConfigError, Dialect, Endpoint, Errors, Json, Listen, ServiceConfig,
};

use super::fault::Fault;
use super::file::{self, FileFault};
use super::flags::SettingFlags;
use super::nearest::nearest;
use super::table::{Draft, Setting, TABLE, read_endpoint, variable};

/// The variable with the endpoints, separated by commas or spaces.
const BIND_VARIABLE: &str = "MAJORDOMUS_BIND";
/// The variable with the path of the file.
const CONFIG_VARIABLE: &str = "MAJORDOMUS_CONFIG";

/// Variables that `worker --exec` sets for its commands. A command may run this program again.
const OF_COMMANDS: [&str; 2] = ["MAJORDOMUS_SERVICE", "MAJORDOMUS_REQUEST_ID"];

/// The settings given on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) bind: Vec<Endpoint>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) settings: SettingFlags,
}

/// The source of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    #[default]
    Default,
    File(PathBuf),
    /// The name of the variable.
    Environment(String),
    /// The name of the flag, without dashes.
    Flag(String),
}

/// An environment variable with the prefix of settings that is not a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownVariable {
    name: String,
    nearest: Option<&'static str>,
}

impl UnknownVariable {
    /// Returns the unknown variables among these names.
    pub(crate) fn among(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = Self> {
        names.filter_map(|name| Self::read(&name.to_string_lossy()))
    }

    fn read(name: &str) -> Option<Self> {
        let key = name.strip_prefix("MAJORDOMUS_")?.to_ascii_lowercase();
        let mut known = TABLE.iter().map(|setting| setting.name).chain(["bind", "config"]);
        if OF_COMMANDS.contains(&name) || known.clone().any(|known| variable(known) == name) {
            return None;
        }
        Some(Self { name: name.into(), nearest: nearest(&key, &mut known) })
    }
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in the environment and no setting", self.name)?;
        self.nearest.map_or(Ok(()), |nearest| write!(f, "; is it {}?", variable(nearest)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Environment(variable) => write!(f, "environment {variable}"),
            Source::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// An endpoint of the file with its own protocol settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenEntry {
    pub(super) endpoint: Endpoint,
    /// The dialect, or any dialect. `None` stands for the default dialect of all endpoints.
    pub(super) dialect: Option<Option<Dialect>>,
    pub(super) errors: Option<Errors>,
    pub(super) json: Option<Json>,
}

/// A service of the file with its own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceEntry {
    pub(super) name: String,
    pub(super) wait_timeout: Option<Duration>,
    pub(super) busy_timeout: Option<Duration>,
    pub(super) balance: Option<Balance>,
    pub(super) share: Option<bool>,
}

/// The effective settings and their sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(super) draft: Draft,
    /// The source of each setting in the table.
    pub(super) sources: Vec<Source>,
    pub(super) bind: Vec<Endpoint>,
    pub(super) bind_source: Source,
    /// Endpoints with their own settings. These and `services` come only from the file.
    pub(super) listen: Vec<ListenEntry>,
    pub(super) services: Vec<ServiceEntry>,
    pub(super) file: Source,
}

/// An error in the settings.
#[derive(Debug)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file has an error in this line.
    File(PathBuf, usize, FileFault),
    /// An environment variable is invalid.
    Environment(String, Fault),
    /// A flag is invalid.
    Flag(String, Fault),
    /// Every value is valid by itself, but the broker rejects this one.
    Config(ConfigError, Source),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Unreadable(path, error) => {
                write!(f, "cannot read the configuration {}: {error}", path.display())
            }
            SettingsError::File(path, line, fault) => {
                write!(f, "{}, line {line}: {fault}", path.display())
            }
            SettingsError::Environment(variable, fault) => write!(f, "{variable}: {fault}"),
            SettingsError::Flag(flag, fault) => write!(f, "--{flag}: {fault}"),
            SettingsError::Config(error, source) => write!(f, "{error} ({source})"),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Default for Settings {
    fn default() -> Self {
        Self {
            draft: Draft::default(),
            sources: vec![Source::Default; TABLE.len()],
            bind: Config::default().listen.into_iter().map(|listen| listen.endpoint).collect(),
            bind_source: Source::Default,
            listen: Vec::new(),
            services: Vec::new(),
            file: Source::Default,
        }
    }
}

impl Settings {
    /// Merges flags, environment, file and defaults, in this order of precedence. `value` returns
    /// the value of an environment variable. An empty variable counts as unset.
    pub(crate) fn gather(
        flags: &Flags,
        value: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let value = |name: &str| value(name).filter(|value| !value.is_empty());
        let mut settings = Self::default();
        let path = flags.config.clone().or_else(|| value(CONFIG_VARIABLE).map(PathBuf::from));
        if let Some(path) = path {
            settings.take_file(path)?;
        }
        settings.take_environment(value)?;
        settings.take_flags(flags)?;
        Ok(settings)
    }

    /// Returns the broker configuration for these settings.
    pub(crate) fn config(&self) -> Result<Config, SettingsError> {
        let Draft { dialect, errors, json, mut config } = self.draft.clone();
        let bind = self.bind.iter().cloned();
        let bind = bind.map(|endpoint| Listen { endpoint, dialect, errors, json });
        let listen = self.listen.iter().map(|entry| Listen {
            endpoint: entry.endpoint.clone(),
            dialect: entry.dialect.unwrap_or(dialect),
            errors: entry.errors.unwrap_or(errors),
            json: entry.json.unwrap_or(json),
        });
        config.listen = bind.chain(listen).collect();
        let services = self.services.iter().map(|entry| ServiceConfig {
            name: entry.name.as_str().into(),
            wait_timeout: entry.wait_timeout,
            busy_timeout: entry.busy_timeout,
            balance: entry.balance,
            share: entry.share.unwrap_or_default(),
        });
        config.core.services = services.collect();
        match config.check() {
            Ok(()) => Ok(config),
            Err(error) => {
                let source = self.source_of(&error);
                Err(SettingsError::Config(error, source))
            }
        }
    }

    /// Returns the source of the value that the broker rejected.
    fn source_of(&self, error: &ConfigError) -> Source {
        let name = match error {
            ConfigError::NoEndpoint => return self.bind_source.clone(),
            ConfigError::NameTooLong => "name",
            ConfigError::Zero(name) => name,
            ConfigError::MessageOverReception | ConfigError::MessageTooLarge => "message_bytes_max",
            ConfigError::ReplyTooLarge => "reply_bytes_max",
            ConfigError::SpinTooLong => "spin",
        };
        Setting::position(name).map(|index| self.sources[index].clone()).unwrap_or_default()
    }

    fn take_file(&mut self, path: PathBuf) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| SettingsError::Unreadable(path.clone(), error))?;
        self.file = Source::File(path.clone());
        file::read(&text, self).map_err(|(line, fault)| SettingsError::File(path, line, fault))
    }

    fn take_environment(
        &mut self,
        value: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), SettingsError> {
        let text = |name: &str| match value(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(SettingsError::Environment(name.into(), Fault::NotUtf8)),
        };
        for (setting, source) in TABLE.iter().zip(&mut self.sources) {
            let name = variable(setting.name);
            if let Some(text) = text(&name)? {
                let set = setting.set(&mut self.draft, &text);
                set.map_err(|fault| SettingsError::Environment(name.clone(), fault))?;
                *source = Source::Environment(name);
            }
        }
        if let Some(text) = text(BIND_VARIABLE)? {
            let endpoints = text.split([',', ' ']).filter(|endpoint| !endpoint.is_empty());
            let endpoints = endpoints.map(read_endpoint).collect::<Result<_, _>>();
            let endpoints = endpoints
                .map_err(|fault| SettingsError::Environment(BIND_VARIABLE.into(), fault))?;
            self.bind_to(endpoints, Source::Environment(BIND_VARIABLE.into()));
        }
        Ok(())
    }

    fn take_flags(&mut self, flags: &Flags) -> Result<(), SettingsError> {
        for (index, text) in &flags.settings.given {
            let flag = TABLE[*index].flag();
            let set = TABLE[*index].set(&mut self.draft, text);
            set.map_err(|fault| SettingsError::Flag(flag.clone(), fault))?;
            self.sources[*index] = Source::Flag(flag);
        }
        if !flags.bind.is_empty() {
            self.bind_to(flags.bind.clone(), Source::Flag("bind".into()));
        }
        Ok(())
    }

    /// Replaces all endpoints.
    fn bind_to(&mut self, endpoints: Vec<Endpoint>, source: Source) {
        self.bind = endpoints;
        self.bind_source = source;
        self.listen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_broker() {
        assert_eq!(Settings::default().config().expect("they can be"), Config::default());
    }
}
