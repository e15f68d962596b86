//! The fields of a command frame, decoded from the front.

use core::time::Duration;

use majordomus_core::CorrelationIdRef;

use super::{UNLIMITED, headers};
use crate::service::check_service_name;
use crate::{Error, Violation};

/// Returns an error about the command frame, the first of the message.
#[cold]
pub(super) fn wrong(violation: Violation) -> Error {
    Error::at(0, violation)
}

/// The rest of a command frame. Every length is checked against it before it is used.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame }
    }

    /// Reads fields of constant length, one or several.
    #[inline]
    pub(super) fn octets<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        match self.rest.split_first_chunk() {
            Some((octets, rest)) => {
                self.rest = rest;
                Ok(octets)
            }
            None => Err(wrong(Violation::PackedFrameCut)),
        }
    }

    #[inline]
    pub(super) fn number_1(&mut self) -> Result<u8, Error> {
        self.octets().map(|&[octet]| octet)
    }

    #[inline]
    pub(super) fn number_2(&mut self) -> Result<u16, Error> {
        self.octets().map(|&octets| u16::from_be_bytes(octets))
    }

    #[inline]
    pub(super) fn number_4(&mut self) -> Result<u32, Error> {
        self.octets().map(|&octets| u32::from_be_bytes(octets))
    }

    #[inline]
    pub(super) fn number_8(&mut self) -> Result<u64, Error> {
        self.octets().map(|&octets| u64::from_be_bytes(octets))
    }

    /// Reads a time in milliseconds; `None` if it is unlimited.
    #[inline]
    pub(super) fn time(&mut self) -> Result<Option<Duration>, Error> {
        let millis = self.number_4()?;
        Ok((millis != UNLIMITED).then(|| Duration::from_millis(millis.into())))
    }

    #[inline]
    pub(super) fn short(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number_1()?;
        self.long(length.into())
    }

    // A call would return the name in memory, sized for an error.
    #[inline(always)]
    pub(super) fn service(&mut self) -> Result<&'a [u8], Error> {
        let name = self.short()?;
        check_service_name(name).map_err(wrong)?;
        Ok(name)
    }

    #[inline]
    pub(super) fn ticket(&mut self) -> Result<&'a [u8], Error> {
        match self.short()? {
            [] => Err(wrong(Violation::EmptyTicket)),
            ticket => Ok(ticket),
        }
    }

    /// Reads a request id.
    #[inline]
    pub(super) fn id(&mut self) -> Result<CorrelationIdRef<'a>, Error> {
        self.number_8().map(CorrelationIdRef::Number)
    }

    /// Reads headers and checks them.
    #[inline]
    pub(super) fn headers(&mut self) -> Result<&'a [u8], Error> {
        match self.number_2()? {
            0 => Ok(&[]),
            length => {
                let headers = self.long(length.into())?;
                headers::check(headers).map_err(wrong)?;
                Ok(headers)
            }
        }
    }

    #[inline]
    fn long(&mut self, length: usize) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(length) {
            Some((octets, rest)) => {
                self.rest = rest;
                Ok(octets)
            }
            None => Err(wrong(Violation::FieldPastEnd { bytes: length, left: self.rest.len() })),
        }
    }
}
