//! The socket, as libzmq has it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// What is received may have so many bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

// From zmq.h and zmq_draft.h.
const ZMQ_CLIENT: c_int = 13;
const ZMQ_LINGER: c_int = 17;
const ZMQ_RCVTIMEO: c_int = 27;
const ZMQ_SNDTIMEO: c_int = 28;
const ZMQ_SNDMORE: c_int = 2;

unsafe extern "C" {
    fn zmq_ctx_new() -> *mut c_void;
    fn zmq_ctx_term(context: *mut c_void) -> c_int;
    fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    fn zmq_close(socket: *mut c_void) -> c_int;
    fn zmq_setsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *const c_void,
        length: usize,
    ) -> c_int;
    fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    fn zmq_send(socket: *mut c_void, bytes: *const c_void, length: usize, flags: c_int) -> c_int;
    fn zmq_recv(socket: *mut c_void, bytes: *mut c_void, length: usize, flags: c_int) -> c_int;
    fn zmq_errno() -> c_int;
    fn zmq_strerror(error: c_int) -> *const c_char;
}

/// A CLIENT socket that is connected. It stays on the thread that made it.
#[derive(Debug)]
pub struct ClientSocket {
    context: NonNull<c_void>,
    socket: NonNull<c_void>,
}

impl ClientSocket {
    /// Connects to an endpoint. Nothing that it is asked takes longer than `patience`.
    ///
    /// # Panics
    ///
    /// When libzmq does not take the endpoint. That nobody answers there is found out later.
    #[track_caller]
    pub fn connect(endpoint: &str, patience: Duration) -> Self {
        let endpoint = CString::new(endpoint).expect("an endpoint has no zero byte");
        // SAFETY: it takes nothing, and gives a context or null.
        let context = NonNull::new(unsafe { zmq_ctx_new() }).unwrap_or_else(|| fail("context"));
        // SAFETY: the context is alive; it gives a socket or null.
        let socket = unsafe { zmq_socket(context.as_ptr(), ZMQ_CLIENT) };
        let socket = NonNull::new(socket).unwrap_or_else(|| fail("socket"));
        let client = Self { context, socket };
        let patience = c_int::try_from(patience.as_millis()).expect("a patience of days");
        client.set(ZMQ_LINGER, 0);
        client.set(ZMQ_SNDTIMEO, patience);
        client.set(ZMQ_RCVTIMEO, patience);
        // SAFETY: the socket is alive, and the endpoint ends with a zero byte.
        let connected = unsafe { zmq_connect(client.socket.as_ptr(), endpoint.as_ptr()) };
        check(connected, "connect");
        client
    }

    fn set(&self, option: c_int, value: c_int) {
        let length = size_of::<c_int>();
        // SAFETY: the socket is alive, and libzmq reads `length` bytes of the value, which it copies.
        let set = unsafe {
            zmq_setsockopt(self.socket.as_ptr(), option, (&raw const value).cast(), length)
        };
        check(set, "set an option");
    }

    /// Sends one message.
    ///
    /// # Panics
    ///
    /// When it cannot be sent in time.
    #[track_caller]
    pub fn send(&self, message: &[u8]) {
        check(self.try_send(message, 0), "send");
    }

    /// Whether libzmq lets a message go that has more frames than one.
    pub fn sends_several_frames(&self) -> bool {
        self.try_send(b"", ZMQ_SNDMORE) >= 0
    }

    fn try_send(&self, message: &[u8], flags: c_int) -> c_int {
        // SAFETY: the socket is alive; libzmq reads as many bytes as the slice has, and copies them.
        unsafe { zmq_send(self.socket.as_ptr(), message.as_ptr().cast(), message.len(), flags) }
    }

    /// Waits for the next message.
    ///
    /// # Panics
    ///
    /// When none comes in time, or a longer one than a test has use for.
    #[track_caller]
    pub fn receive(&self) -> Vec<u8> {
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        // SAFETY: the socket is alive, and libzmq writes no more than the bytes that are there.
        let length = unsafe {
            zmq_recv(self.socket.as_ptr(), message.as_mut_ptr().cast(), message.len(), 0)
        };
        check(length, "receive");
        let length = usize::try_from(length).expect("it is no error");
        assert!(length <= message.len(), "a message of {length} bytes");
        message.truncate(length);
        message
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        // SAFETY: both are alive, neither is used again, and the context has no other socket.
        unsafe {
            zmq_close(self.socket.as_ptr());
            zmq_ctx_term(self.context.as_ptr());
        }
    }
}

#[track_caller]
fn check(result: c_int, what: &str) {
    if result < 0 {
        fail(what)
    }
}

#[track_caller]
fn fail(what: &str) -> ! {
    // SAFETY: it takes nothing, and gives the error of this thread.
    let error = unsafe { zmq_errno() };
    // SAFETY: libzmq gives a text of its own that ends with a zero byte and stays.
    let text = unsafe { CStr::from_ptr(zmq_strerror(error)) };
    panic!("libzmq, {what}: {}", text.to_string_lossy())
}
