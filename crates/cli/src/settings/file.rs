//! The configuration file: TOML with the keys of the table, `bind`, `[[listen]]` and `[[service]]`.

use std::fmt;
use std::ops::Range;

use majordomus_broker::{Endpoint, Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::layers::{ListenEntry, ServiceEntry, Settings};
use super::nearest::nearest;
use super::table::{
    self, BALANCE_FORM, JSON_FORM, Setting, TABLE, read_balance, read_dialect, read_endpoint,
    read_errors,
};
use crate::duration;

/// An error in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileFault {
    /// The file is not valid TOML.
    Syntax(String),
    /// The key is unknown in `table`, or at the top level. `nearest` is the most similar known key.
    UnknownKey { table: Option<&'static str>, key: String, nearest: Option<&'static str> },
    /// A table of this name lacks this key.
    Missing(&'static str, &'static str),
    /// A key has a value of the wrong type.
    Type { key: String, expected: &'static str, found: &'static str },
    /// A key has an invalid value.
    Value(String, Fault),
    /// The file has two tables for this service.
    Twice(String),
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFault::Syntax(fault) => f.write_str(fault),
            FileFault::UnknownKey { table, key, nearest } => {
                write!(f, "{key}: there is no such key")?;
                if let Some(table) = table {
                    write!(f, " in [[{table}]]")?;
                }
                nearest.map_or(Ok(()), |nearest| write!(f, "; is it {nearest}?"))
            }
            FileFault::Missing(table, key) => write!(f, "[[{table}]] has no {key}"),
            FileFault::Type { key, expected, found } => {
                write!(f, "{key} has to be {expected}, and is {found}")
            }
            FileFault::Value(key, fault) => write!(f, "{key}: {fault}"),
            FileFault::Twice(name) => write!(f, "there are two [[service]] named {name:?}"),
        }
    }
}

/// An error and its byte offset in the text.
struct Misplaced(usize, FileFault);

type Result<T> = std::result::Result<T, Misplaced>;

/// Parses a file and applies it to the settings. Returns an error with its line number.
pub(super) fn read(
    text: &str,
    settings: &mut Settings,
) -> std::result::Result<(), (usize, FileFault)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line(text, at), FileFault::Syntax(error.message().into()))
    })?;
    take(table.get_ref(), settings).map_err(|Misplaced(at, fault)| (line(text, at), fault))
}

/// Returns the line number of the byte at this offset, starting at 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// A key and its value, with their positions.
struct Entry<'a> {
    key: &'a str,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl Entry<'_> {
    /// Returns the error for an unknown key, with the most similar known one.
    fn unknown(
        &self,
        table: Option<&'static str>,
        keys: impl Iterator<Item = &'static str>,
    ) -> Misplaced {
        let (key, nearest) = (self.key.into(), nearest(self.key, keys));
        Misplaced(self.key_span.start, FileFault::UnknownKey { table, key, nearest })
    }

    fn wrong_type(&self, expected: &'static str, found: &Spanned<DeValue<'_>>) -> Misplaced {
        let key = self.key.into();
        let found = (found.span().start, found.get_ref().type_str());
        Misplaced(found.0, FileFault::Type { key, expected, found: found.1 })
    }

    fn value_fault(&self, at: usize, fault: impl Into<Fault>) -> Misplaced {
        Misplaced(at, FileFault::Value(self.key.into(), fault.into()))
    }

    /// Parses a string value.
    fn read<T, E: Into<Fault>>(
        &self,
        expected: &'static str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let DeValue::String(text) = self.value.get_ref() else {
            return Err(self.wrong_type(expected, self.value));
        };
        read(text).map_err(|fault| self.value_fault(self.value.span().start, fault))
    }

    fn read_bool(&self) -> Result<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false", self.value)),
        }
    }
}

/// Returns the entries of a table in file order.
fn entries<'a>(table: &'a DeTable<'_>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry { key: key.get_ref(), key_span: key.span(), value })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn take(table: &DeTable<'_>, settings: &mut Settings) -> Result<()> {
    let mut bind = None;
    for entry in entries(table) {
        match entry.key {
            "bind" => bind = Some(read_bind(&entry)?),
            "listen" => {
                settings.listen =
                    tables(&entry, "[[listen]] tables")?.map(read_listen).collect::<Result<_>>()?;
            }
            "service" => {
                settings.services = tables(&entry, "[[service]] tables")?
                    .map(read_service)
                    .collect::<Result<_>>()?;
                refuse_doubles(&entry, &settings.services)?;
            }
            _ => take_setting(&entry, settings)?,
        }
    }
    if bind.is_some() || !settings.listen.is_empty() {
        settings.bind = bind.unwrap_or_default();
        settings.bind_source = settings.file.clone();
    }
    Ok(())
}

fn take_setting(entry: &Entry<'_>, settings: &mut Settings) -> Result<()> {
    let keys = || TABLE.iter().map(|setting| setting.name).chain(["bind", "listen", "service"]);
    let index = Setting::position(entry.key).ok_or_else(|| entry.unknown(None, keys()))?;
    let setting = &TABLE[index];
    let text = match entry.value.get_ref() {
        DeValue::String(text) if setting.kind.may_be_string() => text.to_string(),
        DeValue::Integer(number) if setting.kind.may_be_integer() => {
            let digits = number.as_str();
            match u64::from_str_radix(digits, number.radix()) {
                Ok(number) => number.to_string(),
                // The number does not fit, and the setting reports that.
                Err(_) => digits.into(),
            }
        }
        _ => return Err(entry.wrong_type(setting.kind.form(), entry.value)),
    };
    let set = setting.set(&mut settings.draft, &text);
    set.map_err(|fault| entry.value_fault(entry.value.span().start, fault))?;
    settings.sources[index] = settings.file.clone();
    Ok(())
}

fn read_bind(entry: &Entry<'_>) -> Result<Vec<Endpoint>> {
    let expected = "an endpoint such as \"tcp://127.0.0.1:5555\", or a list of them";
    let DeValue::Array(list) = entry.value.get_ref() else {
        return Ok(vec![entry.read(expected, read_endpoint)?]);
    };
    let element = |value| Entry { key: entry.key, key_span: entry.key_span.clone(), value };
    list.iter().map(|value| element(value).read(expected, read_endpoint)).collect()
}

/// Returns the tables of an array of tables, with their positions.
fn tables<'a>(
    entry: &'a Entry<'a>,
    expected: &'static str,
) -> Result<impl Iterator<Item = (usize, &'a DeTable<'a>)>> {
    let DeValue::Array(list) = entry.value.get_ref() else {
        return Err(entry.wrong_type(expected, entry.value));
    };
    let table = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
        DeValue::Table(table) => Ok((value.span().start, table)),
        _ => Err(entry.wrong_type(expected, value)),
    };
    Ok(list.iter().map(table).collect::<Result<Vec<_>>>()?.into_iter())
}

fn read_listen((at, table): (usize, &DeTable<'_>)) -> Result<ListenEntry> {
    let (mut endpoint, mut dialect, mut errors, mut json) = (None, None, None, None);
    for entry in entries(table) {
        match entry.key {
            "endpoint" => endpoint = Some(entry.read("an endpoint", read_endpoint)?),
            "dialect" => dialect = Some(entry.read("the name of a dialect", read_dialect)?),
            "errors" => errors = Some(entry.read("\"silent\" or \"final\"", read_errors)?),
            "json" => json = Some(entry.read(JSON_FORM, str::parse::<Json>)?),
            _ => {
                let keys = ["endpoint", "dialect", "errors", "json"];
                return Err(entry.unknown(Some("listen"), keys.into_iter()));
            }
        }
    }
    let endpoint = endpoint.ok_or(Misplaced(at, FileFault::Missing("listen", "endpoint")))?;
    Ok(ListenEntry { endpoint, dialect, errors, json })
}

fn read_service((at, table): (usize, &DeTable<'_>)) -> Result<ServiceEntry> {
    let (mut name, mut wait_timeout, mut busy_timeout) = (None, None, None);
    let (mut balance, mut share) = (None, None);
    let expected = "a duration such as \"2.5s\"";
    for entry in entries(table) {
        match entry.key {
            "name" => name = Some(entry.read("a text", table::read_service)?),
            "wait_timeout" => wait_timeout = Some(entry.read(expected, duration::parse)?),
            "busy_timeout" => busy_timeout = Some(entry.read(expected, duration::parse)?),
            "balance" => balance = Some(entry.read(BALANCE_FORM, read_balance)?),
            "share" => share = Some(entry.read_bool()?),
            _ => {
                let keys = ["name", "wait_timeout", "busy_timeout", "balance", "share"];
                return Err(entry.unknown(Some("service"), keys.into_iter()));
            }
        }
    }
    let name = name.ok_or(Misplaced(at, FileFault::Missing("service", "name")))?;
    Ok(ServiceEntry { name, wait_timeout, busy_timeout, balance, share })
}

fn refuse_doubles(entry: &Entry<'_>, services: &[ServiceEntry]) -> Result<()> {
    for (index, service) in services.iter().enumerate() {
        if services[..index].iter().any(|before| before.name == service.name) {
            let fault = FileFault::Twice(service.name.clone());
            return Err(Misplaced(entry.value.span().start, fault));
        }
    }
    Ok(())
}
