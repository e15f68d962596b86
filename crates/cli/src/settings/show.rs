//! The output of `--print-config`: a file with the effective settings.

use std::fmt;

use super::layers::{ListenEntry, ServiceEntry, Settings, Source};
use super::table::{Kind, TABLE, show_dialect, show_errors};
use crate::duration;

/// Formats the settings as a file, with the source of each as a comment.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With `[[listen]]` alone, the file must not have `bind`, which would add an endpoint.
        if self.listen.is_empty() || !self.bind.is_empty() {
            let endpoints: Vec<_> = self.bind.iter().map(|it| quoted(&it.to_string())).collect();
            line(f, "bind", &format!("[{}]", endpoints.join(", ")), &self.bind_source)?;
        }
        let mut draft = self.draft.clone();
        let mut heading = "";
        for (setting, source) in TABLE.iter().zip(&self.sources) {
            if heading != setting.heading {
                heading = setting.heading;
                writeln!(f, "\n# {heading}")?;
            }
            let text = setting.get(&mut draft);
            let value = match setting.kind {
                Kind::Count(_) | Kind::SmallCount(_) => text,
                Kind::Bytes(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => text,
                _ => quoted(&text),
            };
            line(f, setting.name, &value, source)?;
        }
        self.listen.iter().try_for_each(|entry| show_listen(f, entry, &self.file))?;
        self.services.iter().try_for_each(|entry| show_service(f, entry, &self.file))
    }
}

fn show_listen(f: &mut fmt::Formatter<'_>, entry: &ListenEntry, source: &Source) -> fmt::Result {
    writeln!(f, "\n[[listen]]")?;
    line(f, "endpoint", &quoted(&entry.endpoint.to_string()), source)?;
    if let Some(dialect) = entry.dialect {
        line(f, "dialect", &quoted(show_dialect(dialect)), source)?;
    }
    if let Some(errors) = entry.errors {
        line(f, "errors", &quoted(show_errors(errors)), source)?;
    }
    entry.json.map_or(Ok(()), |json| line(f, "json", &quoted(json.name()), source))
}

fn show_service(f: &mut fmt::Formatter<'_>, entry: &ServiceEntry, source: &Source) -> fmt::Result {
    writeln!(f, "\n[[service]]")?;
    line(f, "name", &quoted(&entry.name), source)?;
    for (key, value) in [("wait_timeout", entry.wait_timeout), ("busy_timeout", entry.busy_timeout)]
    {
        if let Some(value) = value {
            line(f, key, &quoted(&duration::show(value)), source)?;
        }
    }
    if let Some(balance) = entry.balance {
        line(f, "balance", &quoted(balance.name()), source)?;
    }
    entry.share.map_or(Ok(()), |share| line(f, "share", &share.to_string(), source))
}

fn line(f: &mut fmt::Formatter<'_>, key: &str, value: &str, source: &Source) -> fmt::Result {
    // A path may contain any character, but a comment ends at a line break.
    let source = source.to_string().replace(|c: char| c.is_control(), "\u{FFFD}");
    writeln!(f, "{key} = {value}  # {source}")
}

/// Formats a text as a TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let text = r#"
            bind = "tcp://127.0.0.1:1"
            name = "a \"b\" \\ \u0007 é"
            liveness = 5
            request_bytes_max = 0x401
            no_worker_wait = "1s"
            intch = "ipc:///run/pub.sock"
            [[listen]]
            endpoint = "ipc:///run/m.sock"
            dialect = "any"
            errors = "final"
            json = "raw"
            [[listen]]
            endpoint = "tcp://127.0.0.1:2"
            [[service]]
            name = "slow"
            busy_timeout = "2h"
            balance = "random"
            share = true
            [[service]]
            name = "plain"
            share = false
        "#;
        let mut settings = Settings::default();
        file::read(text, &mut settings).expect("it is a file");
        let mut again = Settings::default();
        file::read(&settings.to_string(), &mut again).expect("it can be read again");
        assert_eq!(again, settings);
        assert_eq!(again.draft.config.name, "a \"b\" \\ \u{7} é");
        assert_eq!(again.config().expect("it can be").listen.len(), 3);
    }
}
