//! `majordomus request`: sends a request to a service and prints the reply.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use clap::Args;
use majordomus::{Body, Client, Dialect, Headers, Reply, RequestError, RequestOption, Retry};
use tokio::task::JoinHandle;

use crate::cmd::{BROKER_ENDPOINT, dialect_parser, misused, number};
use crate::duration;
use crate::failure::Failure;
use crate::output::{Reader, print};
use crate::settings::{read_broker, read_service};

/// The maximum number of bytes read from standard input. A request of that size is rejected, so no
/// input is truncated silently.
const INPUT_BYTES_MAX: u64 = 64 << 20;

const EXAMPLES: &str = "\
Each frame of the reply is printed with a newline behind it, each part of the reply as it comes. \
With --raw the bytes are printed as they are, and nothing between frames.

The status is 1, with one line on standard error, when there is no reply in time or the reply is an \
error. The MDP dialects have no errors: a final reply of one frame that begins with `-1 ` counts as \
one, unless --no-error-replies is given. The status is 2 when the command line makes no sense.

Not every dialect has words for all that can be said of a request. An option that --dialect cannot \
say is refused; those that can are named behind it in brackets.

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
    /// The broker: tcp://HOST:PORT or ipc://PATH; given again, another one, which is asked where the
    /// first is not there
    #[arg(short, long, value_name = "ENDPOINT", default_value = BROKER_ENDPOINT,
          value_parser = read_broker)]
    broker: Vec<String>,
    /// The service to ask
    #[arg(value_parser = read_service)]
    service: String,
    /// A frame of the request each; `-` is standard input as one frame
    body: Vec<OsString>,
    /// How long to wait, for the reply and again after each part of it; `none` for as long as it
    /// takes, `0s` for a worker that is free now or none (omdp1)
    #[arg(short, long, value_name = "DURATION", default_value = "60s",
          value_parser = |text: &str| Patience::parse(text))]
    timeout: Patience,
    /// How long all of it may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    deadline: Option<Duration>,
    /// How long its worker may be silent before it is given up (omdp1)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    silence: Option<Duration>,
    /// From 0 (last) to 9 (first) among those that wait for the same service (omdp1)
    #[arg(long, value_name = "NUMBER", value_parser = number(0..=9_u8),
          allow_negative_numbers = true)]
    priority: Option<u8>,
    /// Say that it may be done twice: it goes to another worker when its worker is lost (all but
    /// omdp)
    #[arg(long)]
    repeatable: bool,
    /// Ask again so many times at the most when it fails, at another broker where there is one;
    /// implies --repeatable
    #[arg(long, value_name = "COUNT", value_parser = number(0..=u32::MAX),
          allow_negative_numbers = true)]
    retry: Option<u32>,
    /// The one worker that may do it, by its name in `$dir` (omdp1, pigato, omdp)
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Take no reply that the broker has kept from an equal request (omdp1, pigato, omdp)
    #[arg(long)]
    no_cache: bool,
    /// A header; may be given again (omdp1)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// What to speak
    #[arg(short, long, default_value = "omdp1", value_parser = dialect_parser())]
    dialect: Dialect,
    /// Print the bytes of the frames and nothing else
    #[arg(long)]
    raw: bool,
    /// Take a reply that begins with `-1 ` for a reply like any other
    #[arg(long)]
    no_error_replies: bool,
}

/// Parses `NAME=VALUE`.
fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has to be NAME=VALUE")?;
    Headers::new().with(name, value).map_err(|error| error.to_string())?;
    Ok((name.into(), value.into()))
}

/// Returns the error for an option that the dialect cannot encode, with the option's flag.
fn unsayable(option: RequestOption, dialect: Dialect) -> String {
    let flag = match option {
        RequestOption::AtOnce => "--timeout 0s",
        RequestOption::Silence => "--silence",
        RequestOption::Priority => "--priority",
        RequestOption::Repeatable => "--repeatable",
        RequestOption::Target => "--target",
        RequestOption::NoCache => "--no-cache",
        RequestOption::Header => "--header",
    };
    let others: Vec<_> = option.dialects().map(Dialect::name).collect();
    format!("{flag} cannot be said in {dialect}, only in {}", others.join(", "))
}

/// The timeout of a request.
#[derive(Clone, Copy, Debug)]
struct Patience(Option<Duration>);

impl Patience {
    fn parse(text: &str) -> Result<Self, duration::NotADuration> {
        duration::parse_or_none(text).map(Self)
    }
}

impl RequestArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        self.refuse_unsayable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let body = self.read_body()?;
        runtime.map_err(Failure::System)?.block_on(self.ask(body))
    }

    /// Rejects options that the dialect would drop.
    fn refuse_unsayable(&self) {
        let given = RequestOption::ALL.into_iter().filter(|option| self.says(*option));
        let lost = given.filter(|option| !option.is_in(self.dialect));
        let lost: Vec<_> = lost.map(|option| unsayable(option, self.dialect)).collect();
        if !lost.is_empty() {
            misused("request", &lost.join("; "));
        }
    }

    fn says(&self, option: RequestOption) -> bool {
        match option {
            RequestOption::AtOnce => self.timeout.0 == Some(Duration::ZERO),
            RequestOption::Silence => self.silence.is_some(),
            RequestOption::Priority => self.priority.is_some(),
            RequestOption::Repeatable => self.repeatable,
            RequestOption::Target => self.target.is_some(),
            RequestOption::NoCache => self.no_cache,
            RequestOption::Header => !self.header.is_empty(),
        }
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
        let client = Client::builder(&self.broker[..])
            .dialect(self.dialect)
            .error_replies(!self.no_error_replies)
            .connect()?;
        let mut course = Course::begin(client.clone());
        let mut request = client.request(&self.service, body).timeout(self.timeout.0);
        for (name, value) in &self.header {
            // The names were validated with the arguments.
            request = request
                .header(name, value)
                .unwrap_or_else(|error| misused("request", &format!("--header {name}: {error}")));
        }
        if let Some(deadline) = self.deadline {
            request = request.deadline(deadline);
        }
        if let Some(silence) = self.silence {
            request = request.silence(silence);
        }
        if let Some(priority) = self.priority {
            request = request.priority(priority);
        }
        if let Some(target) = &self.target {
            request = request.target(target);
        }
        if let Some(times) = self.retry {
            request = request.retry(Retry::times(times));
        }
        if self.repeatable {
            request = request.repeatable();
        }
        if self.no_cache {
            request = request.no_cache();
        }
        self.print_reply(request.send().await, &mut course).await
    }

    async fn print_reply(&self, mut reply: Reply, course: &mut Course) -> Result<(), Failure> {
        // A stream may end with an empty frame, because majortomo cannot send a body without a
        // frame. Therefore an empty part after other parts is printed only when another part
        // follows.
        let (mut parts, mut owed) = (0_u64, Vec::new());
        while let Some(part) = reply.next().await {
            if print(&std::mem::take(&mut owed))? == Reader::Gone {
                return Ok(());
            }
            let part = part.map_err(|error| self.failure(error, course))?;
            course.heard = Instant::now();
            owed = self.text(&part);
            let may_be_the_end = parts > 0 && part.frames().bytes() == 0;
            if !may_be_the_end && print(&std::mem::take(&mut owed))? == Reader::Gone {
                return Ok(());
            }
            parts += 1;
        }
        Ok(())
    }

    /// Formats a part for printing.
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

    fn failure(&self, error: RequestError, course: &Course) -> Failure {
        let (service, endpoint) = (self.service.clone(), self.broker.join(" and "));
        let plainly = |service, endpoint, error| Failure::Request {
            service,
            endpoint,
            error: Box::new(error),
        };
        match (error, &self.target) {
            (RequestError::Expired, _) if !course.met_a_broker() => {
                Failure::NoBroker { service, endpoint, dialect: self.dialect }
            }
            (error @ RequestError::Expired, _) => match self.time_over(course) {
                Some(timeout) => Failure::Timeout { service, endpoint, timeout },
                // The broker's own timeout expired.
                None => plainly(service, endpoint, error),
            },
            (RequestError::NoSuchService, Some(worker)) => {
                Failure::NoSuchWorker { service, endpoint, worker: worker.clone() }
            }
            (error, _) => plainly(service, endpoint, error),
        }
    }

    /// Returns the timeout or deadline that has expired, if one has.
    fn time_over(&self, course: &Course) -> Option<Duration> {
        let deadline = self.deadline.filter(|span| course.asked.elapsed() >= *span);
        deadline.or(self.timeout.0.filter(|span| course.heard.elapsed() >= *span))
    }
}

/// The observed progress of a request.
struct Course {
    asked: Instant,
    /// The time of the last part of the reply, or of the request.
    heard: Instant,
    /// A task that ends when a broker answers. The connection may be lost later, for example when
    /// the request is cancelled.
    meeting: JoinHandle<()>,
}

impl Course {
    fn begin(client: Client) -> Self {
        let (now, meeting) = (Instant::now(), async move { client.connected().await });
        Self { asked: now, heard: now, meeting: tokio::spawn(meeting) }
    }

    fn met_a_broker(&self) -> bool {
        self.meeting.is_finished()
    }
}
