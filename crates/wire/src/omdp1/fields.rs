//! The fields of a command frame, read from the front.

use core::ops::Range;
use core::time::Duration;

use majordomus_core::Label;

use super::{UNLIMITED, headers};
use crate::service::service_name;
use crate::{Error, Offence};

/// What is wrong with a command frame, which is the first.
#[cold]
pub(super) fn wrong(offence: Offence) -> Error {
    Error::at(0, offence)
}

/// What is left to be read of a command frame. Every length is held against it before anything is
/// made of it.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    pub(super) fn octets<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let octets = self.rest().first_chunk().ok_or_else(|| wrong(Offence::PackedFrameCut))?;
        self.at += N;
        Ok(*octets)
    }

    pub(super) fn number_1(&mut self) -> Result<u8, Error> {
        self.octets().map(|[octet]| octet)
    }

    pub(super) fn number_2(&mut self) -> Result<u16, Error> {
        self.octets().map(u16::from_be_bytes)
    }

    pub(super) fn number_4(&mut self) -> Result<u32, Error> {
        self.octets().map(u32::from_be_bytes)
    }

    pub(super) fn number_8(&mut self) -> Result<u64, Error> {
        self.octets().map(u64::from_be_bytes)
    }

    /// Milliseconds; nothing where they are without limit.
    pub(super) fn time(&mut self) -> Result<Option<Duration>, Error> {
        let millis = self.number_4()?;
        Ok((millis != UNLIMITED).then(|| Duration::from_millis(millis.into())))
    }

    pub(super) fn short(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number_1()?.into();
        let range = self.range(length)?;
        Ok(&self.frame[range])
    }

    pub(super) fn label(&mut self) -> Result<Label, Error> {
        self.short().map(Label::from)
    }

    pub(super) fn service(&mut self) -> Result<Label, Error> {
        service_name(self.short()?).map_err(wrong)
    }

    pub(super) fn ticket(&mut self) -> Result<Label, Error> {
        match self.short()? {
            [] => Err(wrong(Offence::EmptyTicket)),
            ticket => Ok(Label::from(ticket)),
        }
    }

    /// The id of a request, as the other dialects have it: text.
    pub(super) fn id(&mut self) -> Result<Label, Error> {
        self.number_8().map(Label::decimal)
    }

    /// Where the headers are in the frame, without their length; they are right.
    pub(super) fn headers(&mut self) -> Result<Range<usize>, Error> {
        let length = self.number_2()?.into();
        let range = self.range(length)?;
        headers::check(&self.frame[range.clone()]).map_err(wrong)?;
        Ok(range)
    }

    /// Where the next octets are.
    fn range(&mut self, length: usize) -> Result<Range<usize>, Error> {
        let left = self.frame.len() - self.at;
        if length > left {
            return Err(wrong(Offence::FieldPastEnd { bytes: length, left }));
        }
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }
}
