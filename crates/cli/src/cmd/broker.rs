//! `majordomus broker`: runs a broker until a signal ends it.

use std::env;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use majordomus_broker::{Broker, Config, Endpoint, Snapshot};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use crate::failure::Failure;
use crate::output::print;
use crate::settings::{Flags, SettingFlags, Settings, UnknownVariable, read_endpoint};

const EXAMPLES: &str = "\
--bind and every option of the sections from Listening to Limits on connections can also come from \
the environment and from the file: \
--heartbeat-interval 2.5s is MAJORDOMUS_HEARTBEAT_INTERVAL=2.5s and heartbeat_interval = \"2.5s\". \
Flags go before the environment, the environment goes before the file. MAJORDOMUS_BIND may have \
several endpoints, separated by commas or spaces; MAJORDOMUS_CONFIG names the file.

Durations are written as 250ms, 2.5s, 15m or 1h, and bytes as 4096, 64KiB, 8MiB or 1GiB.

For each endpoint there is one line on standard output, `listening tcp://127.0.0.1:5555`, with the \
real port, and one for that of --intch, `publishing tcp://127.0.0.1:55550`. The log is on standard \
error. SIGTERM and SIGINT end the broker in good order, a second one at once. At SIGUSR1 and at the \
end it logs how many requests had which outcome, in all and for each service.

The status is 0 after a signal, 1 with one line on standard error when the settings are wrong or the \
broker cannot run, and 2 when the command line makes no sense.

Examples:
  majordomus broker
      Listen on tcp://127.0.0.1:5555.
  majordomus broker -b 'tcp://*:5555' -b ipc:///run/majordomus.sock
      Listen on every interface and on a Unix socket.
  majordomus broker --busy-timeout 1h --message-bytes-max 256MiB
      Let workers compute for an hour, and take large messages.
  majordomus broker --print-config > majordomus.toml
      Begin a configuration; every key is in it.
  majordomus broker -c majordomus.toml --log-format json
      Run with it, and log for a machine.

Tables of the file that have no flag:
  [[listen]]
  endpoint = \"tcp://127.0.0.1:5556\"
  dialect = \"mdp01\"       # this one only
  errors = \"final\"        # say `-1 ...` to clients whose request failed

  [[service]]
  name = \"render\"
  wait_timeout = \"10m\"
  busy_timeout = \"2h\"
  balance = \"load\"       # not like others
  share = true            # equal requests at the same time get one answer";

/// Run a broker
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BrokerArgs {
    /// Listen here: tcp://HOST:PORT or ipc://PATH; may be given several times
    /// [default: tcp://127.0.0.1:5555]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = read_endpoint)]
    bind: Vec<Endpoint>,
    /// Read settings from a file
    #[arg(short, long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Show which settings are in force and where each came from, as a file, and end
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl BrokerArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let flags = Flags { bind: self.bind, config: self.config, settings: self.settings };
        UnknownVariable::among(env::vars_os().map(|(name, _)| name))
            .for_each(|unknown| warn!("{unknown}"));
        let settings = Settings::gather(&flags, |name| env::var_os(name))?;
        let config = settings.config()?;
        if self.print_config {
            return print(settings.to_string().as_bytes()).map(|_| ());
        }
        serve(config)
    }
}

/// A second signal ends the program at once if it comes at least this long after the first.
const IMPATIENCE: Duration = Duration::from_secs(1);

fn serve(config: Config) -> Result<(), Failure> {
    // From here on, signals are queued until they are handled.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1]).map_err(Failure::System)?;
    let broker = Broker::start(config)?;
    for endpoint in broker.endpoints() {
        // A closed standard output is not an error here.
        let _ = print(format!("listening {endpoint}\n").as_bytes())?;
    }
    if let Some(endpoint) = broker.publication() {
        let _ = print(format!("publishing {endpoint}\n").as_bytes())?;
    }
    let control = broker.control();
    let ended = signals.handle();
    // The broker can also end by itself, so a thread waits for its end while this one waits for
    // signals.
    let end = thread::spawn(move || {
        let end = broker.wait();
        ended.close();
        end
    });
    let mut told: Option<Instant> = None;
    for signal in signals.forever() {
        if signal == SIGUSR1 {
            control.snapshot().inspect(|snapshot| report("so far", snapshot));
            continue;
        }
        let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
        match told {
            None => {
                info!("{name}: ending");
                told = Some(Instant::now());
                control.shutdown();
            }
            // Some senders signal both the process and its process group. Both signals count as
            // one.
            Some(at) if at.elapsed() < IMPATIENCE => {}
            Some(_) => std::process::exit(1),
        }
    }
    let snapshot = joined(end.join()).map_err(Failure::Broker)?;
    report("ended", &snapshot);
    Ok(())
}

/// Logs the table of outcomes and one line per service.
fn report(when: &str, snapshot: &Snapshot) {
    info!("{when}: {snapshot}");
    for (service, ends) in snapshot.services.lines() {
        info!(%service, "{ends}");
    }
}

/// Returns a thread's result. Resumes the thread's panic, if it panicked.
fn joined(end: thread::Result<io::Result<Snapshot>>) -> io::Result<Snapshot> {
    end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
