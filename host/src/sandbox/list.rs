//! The names in a directory, as they are.

use super::claim::{Claim, Claiming, take_turn};
use super::descriptor::Quota;
use super::entries::{Pass, footprint};
use super::place::Place;
use super::ticket::Ticket;
use super::{Read, names};
use crate::error::Result;
use crate::sched::Flow;

/// A directory whose names are listed.
#[derive(Debug)]
pub(crate) struct ListDir {
    place: Place<Read>,
    reading: Option<(Pass, Vec<String>)>,
    claim: Claim,
}

impl Claiming for ListDir {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl ListDir {
    pub(crate) fn new(place: Place<Read>) -> Self {
        Self { place, reading: None, claim: Claim::new(1) }
    }

    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Vec<String>>> {
        take_turn(self, ticket, |list, _| list.read(ticket))
    }

    fn read(&mut self, ticket: &dyn Ticket) -> Flow<Result<Vec<String>>> {
        let begun = self.reading.take().map_or_else(|| Ok((Pass::new(self.place.open_to_list()?), Vec::new())), Ok);
        let (mut pass, mut list) = match begun {
            Ok(begun) => begun,
            Err(error) => return Flow::Done(Err(error)),
        };
        let flow = pass.go_on(self.place.shared.entries_max, ticket, |entry, meter| {
            let name = names::decode(entry.file_name().to_bytes());
            meter.add(footprint(&name), ticket)?;
            list.push(name);
            Ok(())
        });
        match flow {
            Flow::Done(result) => Flow::Done(result.map(|()| list)),
            Flow::Again(time) => {
                self.reading = Some((pass, list));
                Flow::Again(time)
            }
            Flow::Parked => Flow::Parked,
        }
    }
}
