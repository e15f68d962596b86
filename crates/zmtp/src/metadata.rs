//! Connection metadata: the properties that peers exchange in the handshake.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Error, SocketType};

const SOCKET_TYPE: &str = "Socket-Type";
const IDENTITY: &str = "Identity";
const ROUTING_ID_BYTES_MAX: usize = 255;

/// One side's metadata from the handshake (37/ZMTP, "Connection Metadata").
///
/// ```
/// use majordomus_zmtp::{Metadata, SocketType};
///
/// let metadata = Metadata::new(SocketType::Dealer)
///     .with_routing_id(b"worker-1")
///     .with_property("X-Version", b"2");
/// assert_eq!(metadata.get("x-version"), Some(&b"2"[..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The socket type.
    pub socket_type: SocketType,
    /// The routing id (property `Identity`), at most 255 bytes; empty if none was announced.
    pub routing_id: Bytes,
    /// The other properties, validated and in wire format. Most peers have none, and they are
    /// rarely read, so there is no map.
    others: Bytes,
}

impl Metadata {
    /// Creates metadata with a socket type and no other properties.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, SocketType};
    ///
    /// assert!(Metadata::new(SocketType::Req).routing_id.is_empty());
    /// ```
    #[must_use]
    pub const fn new(socket_type: SocketType) -> Self {
        Self { socket_type, routing_id: Bytes::new(), others: Bytes::new() }
    }

    /// Sets the routing id.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, SocketType};
    ///
    /// let metadata = Metadata::new(SocketType::Router).with_routing_id(b"broker");
    /// assert_eq!(metadata.routing_id, "broker");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the routing id is longer than 255 bytes.
    #[must_use]
    pub fn with_routing_id(mut self, routing_id: &[u8]) -> Self {
        assert!(routing_id.len() <= ROUTING_ID_BYTES_MAX, "a routing id has at most 255 bytes");
        self.routing_id = Bytes::copy_from_slice(routing_id);
        self
    }

    /// Adds a property. Names that start with `X-` are reserved for applications.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, SocketType};
    ///
    /// let metadata = Metadata::new(SocketType::Pair).with_property("Resource", b"a/b");
    /// assert_eq!(metadata.properties().collect::<Vec<_>>(), [(&b"Resource"[..], &b"a/b"[..])]);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the name is invalid, if it is `Socket-Type` or `Identity`, or if the value is
    /// longer than 2^31 - 1 bytes.
    #[must_use]
    pub fn with_property(mut self, name: &str, value: &[u8]) -> Self {
        assert!(
            (1..=255).contains(&name.len()) && name.bytes().all(is_name_char),
            "a property's name has 1 to 255 letters, digits or -_.+"
        );
        assert!(
            !name.eq_ignore_ascii_case(SOCKET_TYPE) && !name.eq_ignore_ascii_case(IDENTITY),
            "Socket-Type and Identity are fields of Metadata"
        );
        assert!(
            i32::try_from(value.len()).is_ok(),
            "a property's value has at most 2^31 - 1 bytes"
        );
        let mut others = BytesMut::from(&self.others[..]);
        put_property(&mut others, name.as_bytes(), value);
        self.others = others.freeze();
        self
    }

    /// Returns an iterator over the properties other than the socket type and the routing id, as
    /// names and values in the order of their arrival. Names may repeat.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, SocketType};
    ///
    /// assert_eq!(Metadata::new(SocketType::Sub).properties().count(), 0);
    /// ```
    pub fn properties(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.others[..];
        core::iter::from_fn(move || split_property(&mut rest).ok().flatten())
    }

    /// Returns the value of the first property with this name, ignoring ASCII case.
    ///
    /// ```
    /// use majordomus_zmtp::{Metadata, SocketType};
    ///
    /// let metadata = Metadata::new(SocketType::Req).with_property("X-Role", b"probe");
    /// assert_eq!(metadata.get("X-ROLE"), Some(&b"probe"[..]));
    /// assert_eq!(metadata.get("X-Other"), None);
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.properties()
            .find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Parses the properties of a READY command.
    pub(crate) fn decode(mut rest: &[u8]) -> Result<Self, Error> {
        let mut socket_type = None;
        let mut routing_id = None;
        let mut others = BytesMut::new();
        while let Some((name, value)) = split_property(&mut rest)? {
            if name.eq_ignore_ascii_case(SOCKET_TYPE.as_bytes()) {
                let kind = SocketType::parse(value).ok_or_else(|| Error::UnknownSocketType {
                    name: Bytes::copy_from_slice(value),
                })?;
                if socket_type.replace(kind).is_some() {
                    return Err(Error::PropertyTwice { name: SOCKET_TYPE });
                }
            } else if name.eq_ignore_ascii_case(IDENTITY.as_bytes()) {
                if value.len() > ROUTING_ID_BYTES_MAX {
                    return Err(Error::RoutingIdTooLong { len: value.len() });
                }
                if routing_id.replace(Bytes::copy_from_slice(value)).is_some() {
                    return Err(Error::PropertyTwice { name: IDENTITY });
                }
            } else {
                put_property(&mut others, name, value);
            }
        }
        Ok(Self {
            socket_type: socket_type.ok_or(Error::SocketTypeMissing)?,
            routing_id: routing_id.unwrap_or_default(),
            others: others.freeze(),
        })
    }

    /// Encodes the properties of a READY command. `Identity` is always included, as in libzmq.
    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        put_property(out, SOCKET_TYPE.as_bytes(), self.socket_type.as_str().as_bytes());
        // The field is public, so it may exceed the limit of `with_routing_id`.
        let len = self.routing_id.len().min(ROUTING_ID_BYTES_MAX);
        put_property(out, IDENTITY.as_bytes(), &self.routing_id[..len]);
        out.put_slice(&self.others);
    }
}

const fn is_name_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+')
}

fn put_property(out: &mut impl BufMut, name: &[u8], value: &[u8]) {
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    out.put_u32(value.len() as u32);
    out.put_slice(value);
}

/// A property's name and value.
type Property<'a> = (&'a [u8], &'a [u8]);

/// Removes the first property from `rest`. Returns `None` at the end.
fn split_property<'a>(rest: &mut &'a [u8]) -> Result<Option<Property<'a>>, Error> {
    let Some((&name_len, tail)) = rest.split_first() else { return Ok(None) };
    if name_len == 0 {
        return Err(Error::PropertyNameEmpty);
    }
    let (name, tail) = tail.split_at_checked(usize::from(name_len)).ok_or(Error::MetadataCut)?;
    if !name.iter().copied().all(is_name_char) {
        return Err(Error::PropertyNameInvalid { name: Bytes::copy_from_slice(name) });
    }
    let (value_len, tail) = tail.split_first_chunk::<4>().ok_or(Error::MetadataCut)?;
    let value_len =
        usize::try_from(u32::from_be_bytes(*value_len)).map_err(|_| Error::MetadataCut)?;
    let (value, tail) = tail.split_at_checked(value_len).ok_or(Error::MetadataCut)?;
    *rest = tail;
    Ok(Some((name, value)))
}
