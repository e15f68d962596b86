//! The `inproc://` transport: connections to a broker in the same process, by name.
//!
//! A connection is a pair of Unix sockets. The connecting side keeps one socket and puts the other
//! into the inbox of the named broker, which accepts it like a connection to a listening socket.
//!
//! The registry of names is protected by a lock that the reactor never takes: the reactor releases
//! a name by setting a flag, and the next bind removes the released names.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mio::Waker;

/// The name that asks for a generated name.
const ANY_NAME: &str = "*";
/// The maximum length of a name in bytes.
const NAME_BYTES_MAX: usize = 255;
/// The maximum number of names bound in this process.
const NAMES_MAX: usize = 4_096;
/// The maximum number of connections waiting for one broker to accept them. Each uses two open
/// files of this process.
const BACKLOG: usize = 256;

/// Connects to the broker of this process that listens on `inproc://NAME`.
///
/// Does not block: the returned stream is connected, and the broker performs the ZMTP handshake
/// when it accepts the connection. The stream carries ZMTP, like an `ipc://` stream, and is in
/// blocking mode.
///
/// # Errors
///
/// Returns an error if no broker has the name, if the broker's backlog is full, or if the system
/// cannot create a socket pair. Converted to an [`io::Error`], the first two have the kinds
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) and
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy). All three can be retried later.
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

/// The error for a failed connection to a broker of this process.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// No broker of this process listens on this name.
    NoBroker(String),
    /// The backlog of the broker with this name is full.
    Full(String),
    /// The system cannot create a socket pair.
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

/// Returns true if a broker can bind this name. `*` is not such a name.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != ANY_NAME
        && !name.chars().any(char::is_control)
}

/// The names bound in this process.
static REGISTRY: Registry = Registry::new(NAMES_MAX);

struct Registry {
    names: Mutex<Names>,
    names_max: usize,
}

struct Names {
    doors: BTreeMap<String, Arc<Door>>,
    /// The number of generated names. No generated name is used twice, so that a client of an
    /// earlier broker cannot connect to a later one by mistake.
    made_up: u64,
}

/// The connecting side of a name: the sender of its backlog.
#[derive(Debug)]
pub(crate) struct Door {
    inbox: SyncSender<UnixStream>,
    /// The waker of the reactor; dropped when the broker ends.
    waker: Weak<Waker>,
    /// True once the name was released.
    closed: AtomicBool,
}

impl Door {
    /// Releases the name. Connections not accepted yet are dropped with the inbox.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The broker's side of a name: the receiver of its backlog. Dropping it releases the name.
#[derive(Debug)]
pub(crate) struct Inbox {
    name: String,
    waiting: Receiver<UnixStream>,
    door: Arc<Door>,
}

impl Inbox {
    /// Binds the name, or a generated one if the name is `*`. Each new connection wakes `waker`.
    pub(crate) fn bind(name: &str, waker: &Arc<Waker>) -> io::Result<Self> {
        REGISTRY.bind(name, waker)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the handle that can release the name before the inbox is dropped.
    pub(crate) fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Returns the next connection, in non-blocking mode.
    pub(crate) fn accept(&self) -> io::Result<UnixStream> {
        // `door` holds a sender of the queue, so the queue is never disconnected here.
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
        // No operation leaves the names inconsistent if it panics.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    /// Generates a name that is not in use and was never generated before.
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
        // Dropping the first inbox does not release the name of the second.
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
