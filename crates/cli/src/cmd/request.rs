//! `majordomus request`: asks a service for something and prints what comes back.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use clap::Args;
use majordomus::{Body, Client, Dialect, Reply, RequestError};

use crate::cmd::{BROKER_ENDPOINT, check_reachable, dialect_parser, misused};
use crate::duration;
use crate::failure::Failure;
use crate::output::{Reader, print};

/// The most that is read from standard input. A request of that size is refused, and none is cut.
const INPUT_BYTES_MAX: u64 = 64 << 20;

const EXAMPLES: &str = "\
Each frame of the reply is printed with a newline behind it, each part of the reply as it comes. \
With --raw the bytes are printed as they are, and nothing between frames.

The status is 1, with one line on standard error, when there is no reply in time or the reply is an \
error. The MDP dialects have no errors: a final reply of one frame that begins with `-1 ` counts as \
one, unless --no-error-replies is given.

Examples:
  majordomus request echo hello
      A request of one frame.
  majordomus request add 2 3
      A request of two frames.
  majordomus request resize - < photo.jpg --raw > small.jpg
      A request from standard input, and a reply that is no text.
  majordomus request mmi.service echo
      Ask the broker whether a worker offers `echo`: 200 is yes, 404 is no.
  majordomus request calc -- -1
      A frame that begins with a dash.";

/// Send a request and print the reply
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RequestArgs {
    /// The broker: tcp://HOST:PORT or ipc://PATH
    #[arg(short, long, value_name = "ENDPOINT", default_value = BROKER_ENDPOINT)]
    broker: String,
    /// The service to ask
    service: String,
    /// A frame of the request each; `-` is standard input as one frame
    body: Vec<OsString>,
    /// How long to wait, for the reply and again after each part of it; `none` for as long as it
    /// takes
    #[arg(short, long, value_name = "DURATION", default_value = "60s",
          value_parser = |text: &str| Patience::parse(text))]
    timeout: Patience,
    /// What to speak
    #[arg(short, long, default_value = "mdp02", value_parser = dialect_parser())]
    dialect: Dialect,
    /// Print the bytes of the frames and nothing else
    #[arg(long)]
    raw: bool,
    /// Take a reply that begins with `-1 ` for a reply like any other
    #[arg(long)]
    no_error_replies: bool,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
struct Patience(Option<Duration>);

impl Patience {
    fn parse(text: &str) -> Result<Self, duration::NotADuration> {
        duration::parse_or_none(text).map(Self)
    }
}

impl RequestArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_reachable(&self.broker)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let body = self.read_body()?;
        runtime.map_err(Failure::System)?.block_on(self.ask(body))
    }

    fn read_body(&self) -> Result<Body, Failure> {
        if self.body.iter().filter(|frame| *frame == "-").count() > 1 {
            misused("request", "`-` is standard input, which can be read only once");
        }
        let frames = self.body.iter().map(|frame| {
            if frame != "-" {
                return Ok(frame.clone().into_vec());
            }
            let mut input = Vec::new();
            io::stdin().lock().take(INPUT_BYTES_MAX).read_to_end(&mut input)?;
            Ok(input)
        });
        Ok(Body::from_frames(frames.collect::<Result<Vec<_>, _>>().map_err(Failure::Input)?))
    }

    async fn ask(self, body: Body) -> Result<(), Failure> {
        let client = Client::builder(&self.broker)
            .dialect(self.dialect)
            .error_replies(!self.no_error_replies)
            .connect()?;
        let request = client.request(&self.service, body).timeout(self.timeout.0);
        self.print_reply(request.send().await).await
    }

    async fn print_reply(&self, mut reply: Reply) -> Result<(), Failure> {
        // The end of a stream may be a frame with nothing in it, because majortomo has no body
        // without a frame. So behind other parts one without a byte is owed until the next comes.
        let (mut parts, mut owed) = (0_u64, Vec::new());
        while let Some(part) = reply.next().await {
            if print(&std::mem::take(&mut owed))? == Reader::Gone {
                return Ok(());
            }
            let part = part.map_err(|error| self.failure(error))?;
            owed = self.text(&part);
            let may_be_the_end = parts > 0 && part.frames().bytes() == 0;
            if !may_be_the_end && print(&std::mem::take(&mut owed))? == Reader::Gone {
                return Ok(());
            }
            parts += 1;
        }
        Ok(())
    }

    /// A part as it is printed.
    fn text(&self, part: &Body) -> Vec<u8> {
        let mut text = Vec::with_capacity(part.frames().bytes() + part.frames().len());
        for frame in part.frames().iter() {
            text.extend_from_slice(frame);
            if !self.raw {
                text.push(b'\n');
            }
        }
        text
    }

    fn failure(&self, error: RequestError) -> Failure {
        let (service, endpoint) = (self.service.clone(), self.broker.clone());
        match (error, self.timeout.0) {
            (RequestError::Timeout, Some(timeout)) => {
                Failure::Timeout { service, endpoint, timeout }
            }
            (error, _) => Failure::Request { service, endpoint, error },
        }
    }
}
