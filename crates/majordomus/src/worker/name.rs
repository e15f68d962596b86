//! What a worker is called.

use majordomus_core::Label;
use majordomus_wire::Codec;

use crate::SetupError;

/// How many bytes the name of a worker may have, so that there is room for what is put behind it.
const NAME_BYTES_MAX: usize = 200;
/// How many bytes ZMTP gives to a routing id.
const ROUTING_ID_BYTES_MAX: usize = 255;

/// By what others can ask for a worker; empty where the broker gives it a name.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    name: String,
    codec: Codec,
}

impl Name {
    /// This name of a worker in the dialect of this codec.
    pub(crate) fn new(name: String, codec: Codec) -> Result<Self, SetupError> {
        // ZMTP keeps routing ids that begin with a zero for itself.
        if name.len() > NAME_BYTES_MAX || name.starts_with('\0') {
            return Err(SetupError::Name(name));
        }
        Ok(Self { name, codec })
    }

    /// Whether its connections for this service can be called by it, however many there are.
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

    /// The routing id of the `nth` connection for this service: the name, and what tells it from its
    /// others.
    pub(crate) fn routing_id(&self, service: Option<&str>, nth: usize) -> Label {
        match service {
            Some(service) if !self.is_whole() => Label::from(self.behind(service, nth).as_str()),
            _ => Label::from(self.name.as_str()),
        }
    }

    /// Whether the name alone is the routing id.
    fn is_whole(&self) -> bool {
        self.name.is_empty() || self.codec.has_several_services()
    }

    fn behind(&self, service: &str, nth: usize) -> String {
        format!("{}-{service}-{nth}", self.name)
    }
}
