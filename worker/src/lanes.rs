//! Lanes: each user's messages are handled one at a time, in order, and different users' messages at the same time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(crate) mod dispatch;

/// The items in work, and the items that wait behind each of them. A lane exists while one of its items is in work, and
/// an empty lane takes no memory.
#[derive(Debug)]
pub(crate) struct Lanes<K, T>(HashMap<K, VecDeque<T>>);

impl<K: Eq + Hash + Clone, T> Lanes<K, T> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Adds an item to its lane. If the lane is free, the item comes back at once and is in work until
    /// [`Lanes::finished`].
    pub(crate) fn push(&mut self, key: &K, item: T) -> Option<T> {
        match self.0.get_mut(key) {
            Some(waiting) => {
                waiting.push_back(item);
                None
            }
            None => {
                self.0.insert(key.clone(), VecDeque::new());
                Some(item)
            }
        }
    }

    /// Ends the work on the lane's item. The next item of the lane, if the lane has one, comes back and is in work from
    /// now on.
    pub(crate) fn finished(&mut self, key: &K) -> Option<T> {
        let next = self.0.get_mut(key)?.pop_front();
        if next.is_none() {
            self.0.remove(key);
        }
        next
    }

    /// The number of lanes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The next event: a user's message arrives, or one of the messages in work, picked by number, ends.
    #[derive(Debug, Clone)]
    enum Event {
        Arrives(u8),
        Ends(usize),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![(0_u8..6).prop_map(Event::Arrives), any::<usize>().prop_map(Event::Ends)]
    }

    proptest! {
        #[test]
        fn any_interleaving_keeps_each_users_order_one_at_a_time(events in proptest::collection::vec(event(), 0..300)) {
            let mut lanes = Lanes::new();
            let mut in_work: BTreeMap<u8, u32> = BTreeMap::new();
            let mut arrived: BTreeMap<u8, u32> = BTreeMap::new();
            let mut ended: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
            let mut end = |user: u8, lanes: &mut Lanes<u8, (u8, u32)>, in_work: &mut BTreeMap<u8, u32>| {
                ended.entry(user).or_default().extend(in_work.remove(&user));
                in_work.extend(lanes.finished(&user));
            };
            for event in events {
                match event {
                    Event::Arrives(user) => {
                        let number = arrived.entry(user).or_default();
                        *number += 1;
                        if let Some((user, number)) = lanes.push(&user, (user, *number)) {
                            prop_assert_eq!(in_work.insert(user, number), None, "two of one user at once");
                        }
                    }
                    Event::Ends(pick) if !in_work.is_empty() => {
                        let users: Vec<u8> = in_work.keys().copied().collect();
                        end(users[pick % users.len()], &mut lanes, &mut in_work);
                    }
                    Event::Ends(_) => {}
                }
                prop_assert_eq!(lanes.len(), in_work.len(), "a lane is there while one of its items is in work");
            }
            while let Some(user) = in_work.keys().next().copied() {
                end(user, &mut lanes, &mut in_work);
            }
            prop_assert_eq!(lanes.len(), 0);
            for (user, count) in arrived {
                prop_assert_eq!(&ended[&user], &(1..=count).collect::<Vec<u32>>());
            }
        }
    }
}
