//! Command-line flags generated from the table of settings.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::table::{Draft, Setting, TABLE};

/// The settings given as flags: the index of each in the table, and its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingFlags {
    pub(crate) given: Vec<(usize, String)>,
}

impl SettingFlags {
    fn arg(setting: &'static Setting) -> Arg {
        let default = setting.get(&mut Draft::default());
        let default = match default.as_str() {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        Arg::new(setting.name)
            .long(setting.flag())
            .value_name(setting.kind.noun())
            .help(format!("{}{default}", setting.help))
            .help_heading(setting.heading)
            .action(ArgAction::Set)
            // Accept a negative number, so that the error names the invalid value and not an
            // unknown flag.
            .allow_negative_numbers(setting.kind.may_be_integer())
            .value_parser(move |text: &str| {
                setting.set(&mut Draft::default(), text).map(|()| text.to_string())
            })
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().map(SettingFlags::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |setting: &Setting| matches.get_one::<String>(setting.name).cloned();
        let given = TABLE.iter().enumerate();
        let given = given.filter_map(|(index, setting)| Some((index, text(setting)?))).collect();
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
