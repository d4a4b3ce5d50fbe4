//! How much each worker wants each partition. The broker gives a partition to its consumer of highest priority, so the
//! priorities alone distribute the partitions, without any talk between workers.

use kefu_messages::partition::{Partition, Seat, spread};

use crate::ConsumerOptions;

/// The most seats that have partitions of their own.
const MOST_SEATS: u16 = 256;

/// The priorities of neighbours in a ranking differ by this much. Workers may have the same seat, after an outage of the
/// store or beyond the last seat. They share the partitions of the seat by a hash that stays below this step.
const STEP: i32 = 256;

/// The priority of the worker for each of `count` partitions, in their order.
///
/// Workers on the seats from 0 on have equally many partitions, give or take one. A worker that joins takes a few
/// partitions from each of the others. The partitions of a worker that leaves fall to all others, more or less equally. A
/// worker without a seat has its priorities from a hash alone: shares are then equal on average only.
pub(super) fn priorities(options: &ConsumerOptions, count: u16) -> Vec<i32> {
    let seats = count.min(MOST_SEATS);
    let own = |partition: &Partition, below: i32| {
        let (id, partition) = (options.id.bytes(), partition.to_string());
        (spread(id.chain([b'|']).chain(partition.bytes())) % below.unsigned_abs() as u64) as i32
    };
    let partitions = Partition::all(count);
    match options.seat {
        None => partitions.map(|partition| own(&partition, STEP * (i32::from(seats) + 1))).collect(),
        // Beyond the last seat the seats begin anew, and two workers share a seat.
        Some(seat) => {
            let ranks = Rankings::new(count, seats).ranks_of(seat % seats.max(1));
            partitions.zip(ranks).map(|(partition, rank)| rank * STEP + own(&partition, STEP)).collect()
        }
    }
}

/// For each partition its seats, the first choice first. Among the seats from 0 to any number, each seat is the first
/// choice of equally many partitions, give or take one.
struct Rankings(Vec<Vec<Seat>>);

impl Rankings {
    fn new(count: u16, seats: u16) -> Self {
        let mut rankings = vec![vec![0]; usize::from(count)];
        for seat in 1..seats {
            let taken = taken_by(seat, &rankings);
            for (partition, ranking) in rankings.iter_mut().enumerate() {
                let place = if taken[partition] { 0 } else { 1 + hash(seat, partition) % ranking.len() };
                ranking.insert(place, seat);
            }
        }
        Self(rankings)
    }

    /// One more than the number of later seats, in each ranking.
    fn ranks_of(self, seat: Seat) -> impl Iterator<Item = i32> {
        self.0
            .into_iter()
            .map(move |ranking| 1 + ranking.iter().rev().take_while(|ranked| **ranked != seat).count() as i32)
    }
}

/// The partitions that a new seat takes: from the seat that has most, again and again, until the new seat has its share.
fn taken_by(seat: Seat, rankings: &[Vec<Seat>]) -> Vec<bool> {
    let mut had: Vec<Vec<usize>> = vec![Vec::new(); usize::from(seat)];
    for (partition, ranking) in rankings.iter().enumerate() {
        had[usize::from(ranking[0])].push(partition);
    }
    had.iter_mut().for_each(|partitions| partitions.sort_by_key(|partition| hash(seat, *partition)));
    let mut taken = vec![false; rankings.len()];
    for _ in 0..rankings.len() / (usize::from(seat) + 1) {
        let most = had.iter_mut().rev().max_by_key(|partitions| partitions.len());
        if let Some(partition) = most.and_then(Vec::pop) {
            taken[partition] = true;
        }
    }
    taken
}

fn hash(seat: Seat, partition: usize) -> usize {
    spread(seat.to_be_bytes().into_iter().chain((partition as u64).to_be_bytes())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, seat: Option<Seat>) -> ConsumerOptions {
        ConsumerOptions { id: id.to_owned(), seat, prefetch: 1 }
    }

    /// How much each worker wants each of so many partitions.
    fn wanted(workers: &[ConsumerOptions], partitions: u16) -> Vec<Vec<i32>> {
        workers.iter().map(|worker| priorities(worker, partitions)).collect()
    }

    /// The worker that gets the partition.
    fn winner(wanted: &[Vec<i32>], partition: usize) -> Option<usize> {
        (0..wanted.len()).max_by_key(|worker| wanted[*worker][partition])
    }

    /// How many partitions each worker has.
    fn shares_of(wanted: &[Vec<i32>]) -> Vec<usize> {
        let mut shares = vec![0; wanted.len()];
        (0..wanted[0].len()).filter_map(|partition| winner(wanted, partition)).for_each(|worker| shares[worker] += 1);
        shares
    }

    /// How many of 64 partitions each worker has.
    fn shares(workers: &[ConsumerOptions]) -> Vec<usize> {
        shares_of(&wanted(workers, 64))
    }

    fn on(seats: impl IntoIterator<Item = Seat>) -> Vec<ConsumerOptions> {
        seats.into_iter().map(|seat| worker(&format!("worker of seat {seat}"), Some(seat))).collect()
    }

    #[test]
    fn workers_on_the_first_seats_have_equally_many_partitions() {
        for partitions in [1, 8, 64] {
            let wanted = wanted(&on(0..partitions), partitions);
            let partitions = usize::from(partitions);
            for count in 1..=partitions {
                let shares = shares_of(&wanted[..count]);
                let (least, most) = (partitions / count, partitions.div_ceil(count));
                assert!(shares.iter().all(|share| (least..=most).contains(share)), "{count} workers: {shares:?}");
            }
        }
    }

    #[test]
    fn the_partitions_of_a_worker_that_goes_fall_to_all_others() {
        for (partitions, fair) in [(8, 2..=4), (64, 18..=26)] {
            for gone in 0..4 {
                let shares = shares_of(&wanted(&on((0..4).filter(|seat| *seat != gone)), partitions));
                assert!(shares.iter().all(|share| fair.contains(share)), "without {gone}: {shares:?}");
            }
        }
    }

    #[test]
    fn a_worker_that_comes_takes_partitions_and_moves_none_between_the_others() {
        let wanted = wanted(&[0, 1, 2, 3].map(|seat| worker("same", Some(seat))), 64);
        for partition in 0..64 {
            let after = winner(&wanted, partition);
            assert!(after == Some(3) || after == winner(&wanted[..3], partition), "{partition}");
        }
    }

    #[test]
    fn workers_without_a_seat_or_on_the_same_seat_share_by_chance() {
        let by_chance: Vec<_> = (0..4).map(|id| worker(&format!("id-{id}"), None)).collect();
        assert!(shares(&by_chance).iter().all(|share| (6..=28).contains(share)), "{:?}", shares(&by_chance));
        let crowded: Vec<_> = (0..4).map(|id| worker(&format!("id-{id}"), Some(3))).collect();
        assert!(shares(&crowded).iter().all(|share| (6..=28).contains(share)), "{:?}", shares(&crowded));
    }

    #[test]
    fn with_more_workers_than_partitions_each_partition_has_one_and_the_rest_wait() {
        let many: Vec<_> = (0..100).map(|seat| worker(&format!("id-{seat}"), Some(seat))).collect();
        assert_eq!(shares(&many).iter().filter(|share| **share == 1).count(), 64);
    }

    #[test]
    fn a_worker_beyond_the_last_seat_has_partitions_when_seats_before_it_are_empty() {
        let few: Vec<_> = [0, 65, 66, 67].map(|seat| worker(&format!("id-{seat}"), Some(seat))).into_iter().collect();
        assert!(shares(&few).iter().all(|share| *share >= 8), "{:?}", shares(&few));
    }

    #[test]
    fn a_thousand_partitions_take_no_time() {
        let begun = std::time::Instant::now();
        let priorities = priorities(&worker("id", Some(200)), 1_024);
        assert_eq!(priorities.len(), 1_024);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
