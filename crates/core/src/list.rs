//! Intrusive doubly linked lists over table entries: insertion and removal take constant time at
//! any position.

use alloc::vec::Vec;

const NONE: u32 = u32::MAX;

/// An entry's neighbors in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(crate) const NONE: Links = Links { prev: NONE, next: NONE };
}

/// A view of a table's links for one list. There is one such view per list.
pub(crate) trait Linked {
    fn links(&mut self, index: u32) -> &mut Links;
}

/// The head, tail and length of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: NONE, tail: NONE, len: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    #[cfg(any(test, feature = "audit"))]
    pub(crate) fn last(&self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
    }

    /// Returns the entry after `index`.
    pub(crate) fn after(table: &mut impl Linked, index: u32) -> Option<u32> {
        let next = table.links(index).next;
        (next != NONE).then_some(next)
    }

    /// Returns the entries in order.
    pub(crate) fn to_vec(self, table: &mut impl Linked) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.len());
        let mut at = self.first();
        while let Some(index) = at {
            all.push(index);
            at = List::after(table, index);
        }
        all
    }

    #[inline(always)]
    pub(crate) fn push_back(&mut self, table: &mut impl Linked, index: u32) {
        *table.links(index) = Links { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = index,
            tail => table.links(tail).next = index,
        }
        self.tail = index;
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, table: &mut impl Linked, index: u32) {
        *table.links(index) = Links { prev: NONE, next: self.head };
        match self.head {
            NONE => self.tail = index,
            head => table.links(head).prev = index,
        }
        self.head = index;
        self.len += 1;
    }

    /// Replaces an entry of this list with `successor`, which must not be in any list.
    pub(crate) fn replace(&mut self, table: &mut impl Linked, index: u32, successor: u32) {
        let links = core::mem::replace(table.links(index), Links::NONE);
        *table.links(successor) = links;
        match links.prev {
            NONE => self.head = successor,
            prev => table.links(prev).next = successor,
        }
        match links.next {
            NONE => self.tail = successor,
            next => table.links(next).prev = successor,
        }
    }

    /// Moves an entry of this list to its end.
    #[inline(always)]
    pub(crate) fn move_to_back(&mut self, table: &mut impl Linked, index: u32) {
        if self.tail != index {
            self.remove(table, index);
            self.push_back(table, index);
        }
    }

    /// Removes an entry from this list.
    #[inline(always)]
    pub(crate) fn remove(&mut self, table: &mut impl Linked, index: u32) {
        let Links { prev, next } = core::mem::replace(table.links(index), Links::NONE);
        match prev {
            NONE => self.head = next,
            prev => table.links(prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            next => table.links(next).prev = prev,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Vec<Links> {
        fn links(&mut self, index: u32) -> &mut Links {
            &mut self[index as usize]
        }
    }

    #[test]
    fn entries_join_at_both_ends_and_leave_anywhere() {
        let mut table = alloc::vec![Links::NONE; 5];
        let mut list = List::EMPTY;
        for index in [1, 2, 3] {
            list.push_back(&mut table, index);
        }
        list.push_front(&mut table, 0);
        list.push_back(&mut table, 4);
        assert_eq!(list.to_vec(&mut table), [0, 1, 2, 3, 4]);
        for (gone, left) in
            [(2, &[0, 1, 3, 4][..]), (0, &[1, 3, 4]), (4, &[1, 3]), (1, &[3]), (3, &[])]
        {
            list.remove(&mut table, gone);
            assert_eq!(list.to_vec(&mut table), left);
            assert_eq!(list.len(), left.len());
        }
        assert!(list.is_empty());
    }
}
