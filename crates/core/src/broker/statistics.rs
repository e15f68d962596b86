//! Statistics: outcomes of requests, for each service.
//!
//! A name gets statistics of its own when a worker registers it. They remain when the name falls
//! out of use. When the limit is reached, the statistics that have been out of use longest are
//! merged into the others. A request for a name that only a wildcard or a version serves counts for
//! that wildcard or version.

use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashTable;

use super::keys::{KeyedState, Keys};
use crate::list::{Linked, Links, List};
use crate::table::Table;
use crate::{ByteStr, Outcome};

/// The reason for which a request was refused.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::{Counters, Refusal};
///
/// let counters = Counters::default();
/// for refusal in Refusal::ALL {
///     println!("{} {}", refusal.name(), counters.refusal(refusal));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The client reached its limit of requests in progress.
    Client,
    /// The service reached its limit of requests in progress.
    Service,
    /// The limit of names without a registered worker was reached.
    Names,
    /// The broker reached its limit of requests in progress.
    Broker,
    /// The admission queues are full.
    Door,
    /// The client has a request in progress with the same id.
    IdInUse,
}

impl Refusal {
    /// All reasons, in display order.
    pub const ALL: [Refusal; 6] = [
        Refusal::Client,
        Refusal::Service,
        Refusal::Names,
        Refusal::Broker,
        Refusal::Door,
        Refusal::IdInUse,
    ];

    /// Returns the name used in logs and counters.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::Refusal;
    ///
    /// assert_eq!(Refusal::IdInUse.name(), "id_in_use");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Client => "client_limit",
            Refusal::Service => "service_limit",
            Refusal::Names => "names_limit",
            Refusal::Broker => "broker_limit",
            Refusal::Door => "door_limit",
            Refusal::IdInUse => "id_in_use",
        }
    }
}

/// Counts of ended requests, by outcome.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Ends;
///
/// assert_eq!(Ends::default().to_string(), "");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    outcomes: [u64; Outcome::ALL.len()],
    refusals: [u64; Refusal::ALL.len()],
}

impl Ends {
    /// Returns the number of requests that ended with this outcome.
    ///
    /// ```
    /// # mod majordomus { pub mod broker { pub use majordomus_core::{Outcome, broker::*}; } }
    /// use majordomus::broker::{Ends, Outcome};
    ///
    /// assert_eq!(Ends::default().outcome(Outcome::Replied), 0);
    /// ```
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Returns the number of requests that were refused for this reason. The sum over all reasons
    /// equals the number of requests with the outcome [`Refused`](Outcome::Refused).
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::{Ends, Refusal};
    ///
    /// assert_eq!(Ends::default().refusal(Refusal::Client), 0);
    /// ```
    pub fn refusal(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal as usize]
    }

    /// Returns the number of ended requests, with any outcome.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// assert_eq!(majordomus::broker::Ends::default().total(), 0);
    /// ```
    pub fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    #[inline(always)]
    pub(in crate::broker) fn count(&mut self, end: End) {
        self.outcomes[end.outcome() as usize] += 1;
        if let End::Refused(refusal) = end {
            self.refusals[refusal as usize] += 1;
        }
    }

    fn add(&mut self, other: &Ends) {
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(all, more)| *all += more);
        self.refusals.iter_mut().zip(other.refusals).for_each(|(all, more)| *all += more);
    }
}

/// Writes all counts that are not 0, as in logs: `replied 3, refused 2 (client_limit 2)`.
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = Outcome::ALL.map(|outcome| (outcome.name(), self.outcome(outcome)));
        write_counts(f, &outcomes)?;
        if self.outcome(Outcome::Refused) > 0 {
            f.write_str(" (")?;
            write_counts(f, &Refusal::ALL.map(|why| (why.name(), self.refusal(why))))?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn write_counts(f: &mut fmt::Formatter<'_>, counts: &[(&str, u64)]) -> fmt::Result {
    let some = counts.iter().filter(|(_, count)| *count > 0);
    for (at, (name, count)) in some.enumerate() {
        let before = if at == 0 { "" } else { ", " };
        write!(f, "{before}{name} {count}")?;
    }
    Ok(())
}

/// The end of one request.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) enum End {
    /// The request ends with this outcome, which is not [`Outcome::Refused`].
    As(Outcome),
    /// The request is refused.
    Refused(Refusal),
}

impl End {
    pub(in crate::broker) fn outcome(self) -> Outcome {
        match self {
            End::As(outcome) => outcome,
            End::Refused(_) => Outcome::Refused,
        }
    }
}

/// Statistics of one service.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::{Account, Statement};
///
/// let statement = Statement::default();
/// let echo = statement.services.iter().find(|Account { service, .. }| **service == *b"echo");
/// assert!(echo.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name under which workers register, or registered, the service.
    pub service: ByteStr,
    /// Counts of its ended requests.
    pub ends: Ends,
}

/// Statistics of all services.
///
/// ```
/// # mod majordomus { pub use majordomus_core::broker; }
/// use majordomus::broker::Statement;
///
/// for (service, ends) in Statement::default().lines() {
///     println!("{service}: {ends}");
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The services, sorted by name.
    pub services: Vec<Account>,
    /// Requests that the broker answers itself: `mmi.` and `$dir`.
    pub own: Ends,
    /// All other names together: names without a registered worker, and names without statistics of
    /// their own because of the limit `accounts_max`.
    pub others: Ends,
}

impl Statement {
    /// Returns all entries with at least one ended request, in display order. The name `the
    /// broker's own` stands for requests that the broker answered itself, and `others` for all
    /// other names.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::Statement;
    ///
    /// assert_eq!(Statement::default().lines().count(), 0);
    /// ```
    pub fn lines(&self) -> impl Iterator<Item = (ByteStr, &Ends)> {
        let named = self.services.iter().map(|account| (account.service.clone(), &account.ends));
        let own = [("the broker's own", &self.own), ("others", &self.others)];
        let own = own.into_iter().map(|(name, ends)| (ByteStr::from(name), ends));
        named.chain(own).filter(|(_, ends)| ends.total() > 0)
    }
}

#[derive(Debug)]
struct Entry {
    account: Account,
    /// Links in the list of unused entries.
    idle: Links,
}

#[derive(Debug)]
pub(in crate::broker) struct Accounts {
    table: Table<Entry>,
    indices: HashTable<u32>,
    keyed: KeyedState,
    /// Entries whose service is not in use, the longest unused first.
    idle: List,
    own: Ends,
    others: Ends,
}

struct Idle<'a>(&'a mut Table<Entry>);

impl Linked for Idle<'_> {
    fn links(&mut self, index: u32) -> &mut Links {
        &mut self.0[index].idle
    }
}

impl Accounts {
    pub(in crate::broker) fn new(keys: Keys) -> Self {
        Self {
            table: Table::new(),
            indices: HashTable::new(),
            keyed: keys.state(),
            idle: List::EMPTY,
            own: Ends::default(),
            others: Ends::default(),
        }
    }

    pub(in crate::broker) fn find(&self, service: &[u8]) -> Option<u32> {
        let table = &self.table;
        let found = |index: &u32| *table[*index].account.service == *service;
        self.indices.find(self.keyed.of(service), found).copied()
    }

    /// Returns the statistics of a name that comes back into use, if it has any.
    pub(in crate::broker) fn resume(&mut self, service: &[u8]) -> Option<u32> {
        let index = self.find(service)?;
        self.idle.remove(&mut Idle(&mut self.table), index);
        Some(index)
    }

    /// Adds statistics for a name that has none. Returns `None` if `max` entries are in use.
    pub(in crate::broker) fn open(&mut self, service: &ByteStr, max: usize) -> Option<u32> {
        while self.table.len() >= max {
            self.close_idle()?;
        }
        let account = Account { service: service.clone(), ends: Ends::default() };
        let (index, _) = self.table.insert(Entry { account, idle: Links::NONE });
        let (table, keyed) = (&self.table, self.keyed);
        self.indices.insert_unique(keyed.of(service), index, |other| {
            keyed.of(&table[*other].account.service)
        });
        Some(index)
    }

    /// Marks an entry as unused.
    pub(in crate::broker) fn rest(&mut self, index: u32) {
        self.idle.push_back(&mut Idle(&mut self.table), index);
    }

    /// Removes the longest unused entry and adds its counts to the others.
    fn close_idle(&mut self) -> Option<()> {
        let index = self.idle.first()?;
        self.idle.remove(&mut Idle(&mut self.table), index);
        let Account { service, ends } = &self.table[index].account;
        self.others.add(ends);
        if let Ok(entry) = self.indices.find_entry(self.keyed.of(service), |other| *other == index)
        {
            entry.remove();
        }
        self.table.remove(index);
        Some(())
    }

    /// Counts the end of a request in this entry, or among the others if there is none.
    #[inline(always)]
    pub(in crate::broker) fn count(&mut self, account: Option<u32>, end: End) {
        match account {
            Some(index) => self.table[index].account.ends.count(end),
            None => self.others.count(end),
        }
    }

    /// Counts the end of a request that the broker answered itself.
    pub(in crate::broker) fn count_own(&mut self, end: End) {
        self.own.count(end);
    }

    pub(in crate::broker) fn statement(&self) -> Statement {
        let all = self.table.indices().map(|index| self.table[index].account.clone());
        let mut services: Vec<Account> = all.collect();
        services.sort_unstable_by(|one, other| one.service.cmp(&other.service));
        Statement { services, own: self.own.clone(), others: self.others.clone() }
    }
}

#[cfg(any(test, feature = "audit"))]
impl Accounts {
    /// Returns the number of entries, and the number of unused ones.
    pub(in crate::broker) fn lens(&self) -> (usize, usize) {
        assert_eq!(self.indices.len(), self.table.len());
        (self.table.len(), self.idle.len())
    }

    pub(in crate::broker) fn name(&self, index: u32) -> &ByteStr {
        &self.table[index].account.service
    }
}
