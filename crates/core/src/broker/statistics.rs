//! The accounts: how requests ended, for each service by itself.
//!
//! A name gets an account when a worker offers it, and keeps it when nobody uses the name any more,
//! until another needs the room: the one that has been out of use for longest gives way. What is
//! asked of a name that only a wildcard or a version serves is in the account of that.

use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashTable;

use super::keys::{KeyedState, Keys};
use crate::list::{Linked, Links, List};
use crate::table::Table;
use crate::{Label, Outcome};

/// What a request was refused for.
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
    /// Its client has as much in progress as one may have.
    Client,
    /// Its service has.
    Service,
    /// There are as many names that nobody offers as may be.
    Names,
    /// The whole broker has as much in progress as it may have.
    Broker,
    /// So much waits at the door that nothing more can.
    Door,
    /// Its client has a request in progress with the same id.
    IdInUse,
}

impl Refusal {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Refusal; 6] = [
        Refusal::Client,
        Refusal::Service,
        Refusal::Names,
        Refusal::Broker,
        Refusal::Door,
        Refusal::IdInUse,
    ];

    /// The name by which it is logged and counted.
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

/// How requests ended, counted.
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
    /// Requests that ended so.
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

    /// Requests that were refused for this. All of them together are those whose outcome is
    /// [`Refused`](Outcome::Refused).
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

    /// Requests that ended, in whichever way.
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

/// What is not 0 of it, as it is logged: `replied 3, refused 2 (client_limit 2)`.
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

/// How one request ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) enum End {
    /// It has this outcome, which is not [`Outcome::Refused`].
    As(Outcome),
    /// It is refused.
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

/// Whose requests ended how.
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
    /// The name under which workers offer, or offered, the service.
    pub service: Label,
    /// How its requests ended.
    pub ends: Ends,
}

/// How requests ended, for all services.
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
    /// Services by name, in order.
    pub services: Vec<Account>,
    /// What the broker answers itself: `mmi.` and `$dir`.
    pub own: Ends,
    /// All other names together: those that no worker offers, and those that have no account, or no
    /// more, as there are only so many (`accounts_max`).
    pub others: Ends,
}

impl Statement {
    /// All of it that has something to say, in the order in which it is shown, with what the broker
    /// answered itself as `the broker's own` and all other names as `others`.
    ///
    /// ```
    /// # mod majordomus { pub use majordomus_core::broker; }
    /// use majordomus::broker::Statement;
    ///
    /// assert_eq!(Statement::default().lines().count(), 0);
    /// ```
    pub fn lines(&self) -> impl Iterator<Item = (Label, &Ends)> {
        let named = self.services.iter().map(|account| (account.service.clone(), &account.ends));
        let own = [("the broker's own", &self.own), ("others", &self.others)];
        let own = own.into_iter().map(|(name, ends)| (Label::from(name), ends));
        named.chain(own).filter(|(_, ends)| ends.total() > 0)
    }
}

#[derive(Debug)]
struct Entry {
    account: Account,
    /// Its place among the accounts that are out of use.
    idle: Links,
}

#[derive(Debug)]
pub(in crate::broker) struct Accounts {
    table: Table<Entry>,
    indices: HashTable<u32>,
    keyed: KeyedState,
    /// Those whose service nobody uses, the one that has been so for longest first.
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

    /// The account of a name that comes into use again; none where it has none.
    pub(in crate::broker) fn resume(&mut self, service: &[u8]) -> Option<u32> {
        let index = self.find(service)?;
        self.idle.remove(&mut Idle(&mut self.table), index);
        Some(index)
    }

    /// An account for a name that has none; none where `max` others are in use.
    pub(in crate::broker) fn open(&mut self, service: &Label, max: usize) -> Option<u32> {
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

    /// Nobody uses the name of an account any more.
    pub(in crate::broker) fn rest(&mut self, index: u32) {
        self.idle.push_back(&mut Idle(&mut self.table), index);
    }

    /// Has the account that has been out of use for longest give way.
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

    /// Counts the end of a request in this account, or with those of all names that have none.
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
    /// How many there are, and how many of them are out of use.
    pub(in crate::broker) fn lens(&self) -> (usize, usize) {
        assert_eq!(self.indices.len(), self.table.len());
        (self.table.len(), self.idle.len())
    }

    pub(in crate::broker) fn name(&self, index: u32) -> &Label {
        &self.table[index].account.service
    }
}
