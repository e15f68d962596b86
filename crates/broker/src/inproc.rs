//! `inproc://`: brokers that are reached from their own process, by a name.
//!
//! It is no second transport. Whoever connects makes a pair of sockets, keeps one end, and puts the
//! other into the inbox of the broker that has the name, which takes it like one that it accepted.
//! The names are kept behind a lock, which the reactor never takes: a name is let go by a flag, and
//! what was let go is cleared away when the next name is bound.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mio::Waker;

/// The name that stands for any that is free, where a broker listens.
const ANY_NAME: &str = "*";
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 255;
/// Names that are bound at once in this process.
const NAMES_MAX: usize = 4_096;
/// Connections that wait for one broker to take them. Each has two open files of this process.
const BACKLOG: usize = 256;

/// Connects to the broker of this process that listens on `inproc://NAME`.
///
/// It does not wait: what it returns is connected, and the broker shakes hands when it gets to it.
/// The stream carries ZMTP, as one to `ipc://` does, and is in blocking mode.
///
/// # Errors
///
/// Where no broker has the name, where as many connections wait for it as may, or where the system
/// gives no sockets. As an [`io::Error`] the first two are of the kinds
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) and
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy); all are worth another try later.
///
/// ```
/// use majordomus_broker::{Broker, inproc};
///
/// assert!(inproc::connect("example").is_err());
/// let broker = Broker::start("inproc://example")?;
/// let stream = inproc::connect("example")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn connect(name: &str) -> Result<UnixStream, ConnectError> {
    REGISTRY.connect(name)
}

/// Why there is no connection to a broker of this process.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// No broker of this process listens under this name.
    NoBroker(String),
    /// As many connections wait for the broker of this name as may.
    Full(String),
    /// The system gives no sockets.
    System(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::NoBroker(name) => {
                write!(
                    f,
                    "connection refused: no broker of this process listens on inproc://{name}"
                )
            }
            ConnectError::Full(name) => write!(
                f,
                "{BACKLOG} connections wait already for the broker on inproc://{name}; try again \
                 when it has taken some"
            ),
            ConnectError::System(error) => write!(f, "the system gives no sockets: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConnectError::System(error) => Some(error),
            ConnectError::NoBroker(_) | ConnectError::Full(_) => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::NoBroker(_) => io::ErrorKind::ConnectionRefused,
            ConnectError::Full(_) => io::ErrorKind::ResourceBusy,
            ConnectError::System(error) => error.kind(),
        };
        io::Error::new(kind, error)
    }
}

/// Whether a broker can have this name. `*`, which stands for any, is not among them.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != ANY_NAME
        && !name.chars().any(char::is_control)
}

/// The names of this process.
static REGISTRY: Registry = Registry::new(NAMES_MAX);

struct Registry {
    names: Mutex<Names>,
    names_max: usize,
}

struct Names {
    doors: BTreeMap<String, Arc<Door>>,
    /// How many names were made up. None is made up twice, so that nobody who knew a broker that is
    /// gone comes to another.
    made_up: u64,
}

/// Where connections to one name are handed in.
#[derive(Debug)]
pub(crate) struct Door {
    inbox: SyncSender<UnixStream>,
    /// It belongs to whoever started the broker, and ends with it.
    waker: Weak<Waker>,
    /// The name is free again.
    closed: AtomicBool,
}

impl Door {
    /// Lets the name go. Connections that were not taken are lost with the inbox.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Connections that wait to be taken, at the broker's side. The name is free when it is dropped.
#[derive(Debug)]
pub(crate) struct Inbox {
    name: String,
    waiting: Receiver<UnixStream>,
    door: Arc<Door>,
}

impl Inbox {
    /// Takes the name, or one that is free where it is `*`. `waker` is woken for each connection.
    pub(crate) fn bind(name: &str, waker: &Arc<Waker>) -> io::Result<Self> {
        REGISTRY.bind(name, waker)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What frees the name before the inbox is gone.
    pub(crate) fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// The next connection, which is in non-blocking mode.
    pub(crate) fn accept(&self) -> io::Result<UnixStream> {
        // The other end of the queue is in the door, so it is never gone before this.
        self.waiting.try_recv().map_err(|_| io::ErrorKind::WouldBlock.into())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.door.close();
    }
}

impl Registry {
    const fn new(names_max: usize) -> Self {
        let names = Names { doors: BTreeMap::new(), made_up: 0 };
        Self { names: Mutex::new(names), names_max }
    }

    fn bind(&self, name: &str, waker: &Arc<Waker>) -> io::Result<Inbox> {
        if name != ANY_NAME && !is_name(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no name that can be"));
        }
        let mut names = self.names();
        names.doors.retain(|_, door| !door.is_closed());
        if names.doors.len() >= self.names_max {
            let text =
                format!("{} names are bound in this process, as many as may be", self.names_max);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let name = if name == ANY_NAME { names.make_up() } else { name.to_string() };
        if names.doors.contains_key(&name) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (inbox, waiting) = mpsc::sync_channel(BACKLOG);
        let closed = AtomicBool::new(false);
        let door = Arc::new(Door { inbox, waker: Arc::downgrade(waker), closed });
        names.doors.insert(name.clone(), Arc::clone(&door));
        Ok(Inbox { name, waiting, door })
    }

    fn connect(&self, name: &str) -> Result<UnixStream, ConnectError> {
        let refused = || ConnectError::NoBroker(name.to_string());
        let door = self.names().doors.get(name).cloned().ok_or_else(refused)?;
        let waker = door.waker.upgrade().filter(|_| !door.is_closed()).ok_or_else(refused)?;
        let (ours, theirs) = UnixStream::pair().map_err(ConnectError::System)?;
        theirs.set_nonblocking(true).map_err(ConnectError::System)?;
        door.inbox.try_send(theirs).map_err(|error| match error {
            TrySendError::Full(_) => ConnectError::Full(name.to_string()),
            TrySendError::Disconnected(_) => refused(),
        })?;
        waker.wake().map_err(ConnectError::System)?;
        Ok(ours)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // Nothing is left half done where somebody panicked.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    /// A name that nobody has and nobody had.
    fn make_up(&mut self) -> String {
        loop {
            self.made_up += 1;
            let name = format!("anonymous-{}", self.made_up);
            if !self.doors.contains_key(&name) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use mio::{Poll, Token};

    use super::*;

    fn waker() -> (Poll, Arc<Waker>) {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("a waker");
        (poll, Arc::new(waker))
    }

    #[test]
    fn a_name_is_one_brokers_until_it_is_let_go() {
        let registry = Registry::new(NAMES_MAX);
        let (_poll, waker) = waker();
        let first = registry.bind("a", &waker).expect("it is free");
        let taken = registry.bind("a", &waker).map(drop).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        first.door().close();
        assert!(matches!(registry.connect("a"), Err(ConnectError::NoBroker(_))));
        let second = registry.bind("a", &waker).expect("it is free again");
        // The first one's end is not the second's.
        drop(first);
        registry.connect("a").expect("the second is there");
        second.accept().expect("it has come to the second");
        drop(second);
        let refused = io::Error::from(registry.connect("a").expect_err("nobody is there"));
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(refused.to_string().contains("inproc://a"), "{refused}");
    }

    #[test]
    fn no_more_connections_wait_than_may_and_they_end_with_the_inbox() {
        let registry = Registry::new(NAMES_MAX);
        let (_poll, waker) = waker();
        let inbox = registry.bind("a", &waker).expect("it is free");
        let mut waiting: Vec<_> =
            (0..BACKLOG).map(|_| registry.connect("a").expect("there is room")).collect();
        let full = io::Error::from(registry.connect("a").expect_err("there is none"));
        assert_eq!(full.kind(), io::ErrorKind::ResourceBusy);
        drop(inbox.accept().expect("one waits"));
        waiting.push(registry.connect("a").expect("there is room again"));
        drop(inbox);
        for mut stream in waiting {
            assert_eq!(stream.read(&mut [0]).expect("it is connected"), 0);
        }
    }

    #[test]
    fn no_more_names_are_bound_than_may_and_what_was_let_go_takes_no_room() {
        let registry = Registry::new(2);
        let (_poll, waker) = waker();
        for _ in 0..3 {
            registry.bind(ANY_NAME, &waker).expect("those before were let go");
        }
        let _first = registry.bind("a", &waker).expect("there is room");
        let _second = registry.bind("b", &waker).expect("there is room");
        let full = registry.bind("c", &waker).map(drop).expect_err("there is none");
        assert_eq!(full.kind(), io::ErrorKind::QuotaExceeded);
    }

    #[test]
    fn a_name_that_is_made_up_is_new() {
        let registry = Registry::new(NAMES_MAX);
        let (_poll, waker) = waker();
        let _taken = registry.bind("anonymous-2", &waker).expect("it is free");
        let made_up = || {
            let inbox = registry.bind(ANY_NAME, &waker).expect("some is free");
            inbox.name().to_string()
        };
        assert_eq!([made_up(), made_up()], ["anonymous-1", "anonymous-3"]);
    }

    #[test]
    fn a_name_has_bounds() {
        let long = "x".repeat(NAME_BYTES_MAX);
        assert!(is_name("a") && is_name("a/b c.é") && is_name(&long));
        let too_long = format!("{long}x");
        let (_poll, waker) = waker();
        for name in ["", &too_long, "a\nb", "a\0"] {
            assert!(!is_name(name), "{name}");
            let refused = Registry::new(1).bind(name, &waker).map(drop).expect_err("it is none");
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_broker_that_is_gone_without_a_word_is_not_there() {
        let registry = Registry::new(NAMES_MAX);
        let (_poll, waker) = waker();
        let inbox = registry.bind("a", &waker).expect("it is free");
        drop(waker);
        assert!(matches!(registry.connect("a"), Err(ConnectError::NoBroker(_))));
        drop(inbox);
    }
}
