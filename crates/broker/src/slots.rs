//! The table of connections. A slot's index and generation form the id by which the core identifies
//! a peer.

use majordomus_core::PeerId;

use crate::connection::Connection;

#[derive(Debug, Default)]
pub(crate) struct Slots {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Slots {
    /// Returns the id of the next connection.
    pub(crate) fn next_id(&self) -> PeerId {
        match self.free.last() {
            Some(&index) => PeerId::new(index, self.places[index as usize].generation),
            None => PeerId::new(self.places.len() as u32, 0),
        }
    }

    /// Inserts a connection into the slot of its id, which must be the next one.
    pub(crate) fn insert(&mut self, connection: Connection) {
        debug_assert_eq!(connection.id, self.next_id());
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        self.places[index as usize].connection = Some(Box::new(connection));
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Option<Box<Connection>> {
        self.get(id)?;
        let place = &mut self.places[id.index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        place.connection.take()
    }

    pub(crate) fn get(&mut self, id: PeerId) -> Option<&mut Connection> {
        self.at(id.index).filter(|connection| connection.id == id)
    }

    /// Returns the connection in this slot, whatever its generation.
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Connection> {
        self.places.get_mut(index as usize)?.connection.as_deref_mut()
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.places.iter().flat_map(|place| &place.connection).map(|found| found.id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
