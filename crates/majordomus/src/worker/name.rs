//! The name of a worker and the routing ids of its connections.

use majordomus_core::ByteStr;
use majordomus_wire::Codec;

use crate::SetupError;

/// The maximum size of a worker's name in bytes, which leaves room for the suffix.
const NAME_BYTES_MAX: usize = 200;
/// The maximum size of a ZMTP routing id in bytes.
const ROUTING_ID_BYTES_MAX: usize = 255;

/// The name by which clients can address a worker. If it is empty, the broker assigns a name.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    name: String,
    codec: Codec,
}

impl Name {
    /// Creates the name of a worker for the dialect of this codec.
    pub(crate) fn new(name: String, codec: Codec) -> Result<Self, SetupError> {
        // ZMTP reserves routing ids that begin with a zero byte.
        if name.len() > NAME_BYTES_MAX || name.starts_with('\0') {
            return Err(SetupError::Name(name));
        }
        Ok(Self { name, codec })
    }

    /// Checks that the routing id of each connection for this service is valid, whatever its
    /// number.
    pub(crate) fn check(&self, service: &str) -> Result<(), SetupError> {
        let can_be_called = |nth| {
            let routing_id = self.behind(service, nth);
            routing_id.len() <= ROUTING_ID_BYTES_MAX
                && self.codec.can_be_called(routing_id.as_bytes())
        };
        if self.is_whole() || [0, usize::MAX].into_iter().all(can_be_called) {
            return Ok(());
        }
        let (name, service) = (self.name.clone(), service.to_string());
        Err(SetupError::NameWithService { name, service, dialect: self.codec.dialect() })
    }

    /// Returns the routing id of the `nth` connection for this service: the name, with a suffix if
    /// the worker has several connections.
    pub(crate) fn routing_id(&self, service: Option<&str>, nth: usize) -> ByteStr {
        match service {
            Some(service) if !self.is_whole() => ByteStr::from(self.behind(service, nth).as_str()),
            _ => ByteStr::from(self.name.as_str()),
        }
    }

    /// Returns true if the name without a suffix is the routing id.
    fn is_whole(&self) -> bool {
        self.name.is_empty() || self.codec.has_several_services()
    }

    fn behind(&self, service: &str, nth: usize) -> String {
        format!("{}-{service}-{nth}", self.name)
    }
}
