//! A safe wrapper for libzmq's CLIENT socket.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// The maximum size of a received message in bytes.
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

/// A connected CLIENT socket. It cannot leave the thread that created it.
#[derive(Debug)]
pub struct ClientSocket {
    context: NonNull<c_void>,
    socket: NonNull<c_void>,
}

impl ClientSocket {
    /// Connects to an endpoint. No operation of the socket takes longer than `patience`.
    ///
    /// # Panics
    ///
    /// Panics if libzmq rejects the endpoint. A missing listener is detected later.
    #[track_caller]
    pub fn connect(endpoint: &str, patience: Duration) -> Self {
        let endpoint = CString::new(endpoint).expect("an endpoint has no zero byte");
        // SAFETY: the function takes no arguments and returns a context or null.
        let context = NonNull::new(unsafe { zmq_ctx_new() }).unwrap_or_else(|| fail("context"));
        // SAFETY: the context is alive; the function returns a socket or null.
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
        // SAFETY: the socket is alive, and libzmq reads and copies `length` bytes of the value.
        let set = unsafe {
            zmq_setsockopt(self.socket.as_ptr(), option, (&raw const value).cast(), length)
        };
        check(set, "set an option");
    }

    /// Sends one message.
    ///
    /// # Panics
    ///
    /// Panics if the message cannot be sent in time.
    #[track_caller]
    pub fn send(&self, message: &[u8]) {
        check(self.try_send(message, 0), "send");
    }

    /// Returns true if libzmq accepts a message with more than one frame.
    pub fn sends_several_frames(&self) -> bool {
        self.try_send(b"", ZMQ_SNDMORE) >= 0
    }

    fn try_send(&self, message: &[u8], flags: c_int) -> c_int {
        // SAFETY: the socket is alive; libzmq reads and copies as many bytes as the slice has.
        unsafe { zmq_send(self.socket.as_ptr(), message.as_ptr().cast(), message.len(), flags) }
    }

    /// Waits for the next message.
    ///
    /// # Panics
    ///
    /// Panics if no message arrives in time, or if it exceeds the maximum size.
    #[track_caller]
    pub fn receive(&self) -> Vec<u8> {
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        // SAFETY: the socket is alive, and libzmq writes no more bytes than the buffer has.
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
    // SAFETY: the function takes no arguments and returns this thread's error.
    let error = unsafe { zmq_errno() };
    // SAFETY: libzmq returns a static text that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(zmq_strerror(error)) };
    panic!("libzmq, {what}: {}", text.to_string_lossy())
}
