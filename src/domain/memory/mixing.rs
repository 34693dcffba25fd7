//! Lists of memories that were ranked in several ways become one: each score as a share of its list's best, mixed by weight,
//! and less with age.

use std::collections::HashMap;

use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::Hit;
use crate::domain::memory::ranking::{WITH_NEIGHBOURS, freshness};

/// A memory in a list: its id, when it was said, its score in that list.
pub type Listed = (MemoryId, Timestamp, f32);

/// The lists of one question.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// By the words of each memory.
    pub alone: Vec<Listed>,
    /// By its words and its neighbours'.
    pub around: Vec<Listed>,
    /// By its meaning, where that was asked for.
    pub dense: Option<Vec<Listed>>,
}

/// The best `limit` of all, the best first; of two that are as good, the newer.
#[must_use]
pub fn mix(lists: &Lists, limit: usize, now: Timestamp) -> Vec<Hit> {
    let mut mixed: HashMap<MemoryId, (Timestamp, f32)> = HashMap::new();
    let words = if lists.dense.is_some() { 0.5 } else { 1.0 } / (1.0 + WITH_NEIGHBOURS);
    add(&mut mixed, &lists.alone, words);
    add(&mut mixed, &lists.around, words * WITH_NEIGHBOURS);
    add(&mut mixed, lists.dense.as_deref().unwrap_or_default(), 0.5);
    let mut found: Vec<(Timestamp, Hit)> = mixed
        .into_iter()
        .filter(|(_, (_, score))| *score > 0.0)
        .map(|(id, (said_at, score))| (said_at, Hit { id, score: score * freshness(now, said_at) }))
        .collect();
    found.sort_unstable_by(|(a_said, a), (b_said, b)| {
        b.score.total_cmp(&a.score).then(b_said.cmp(a_said)).then(b.id.cmp(&a.id))
    });
    found.truncate(limit);
    found.into_iter().map(|(_, hit)| hit).collect()
}

fn add(mixed: &mut HashMap<MemoryId, (Timestamp, f32)>, list: &[Listed], weight: f32) {
    let best = list.iter().map(|(.., score)| *score).fold(0.0, f32::max);
    for (id, said_at, score) in list.iter().filter(|(.., score)| *score > 0.0) {
        mixed.entry(*id).or_insert((*said_at, 0.0)).1 += weight * score / best;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::PublicId;

    const NOW: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    fn listed(id: u8, score: f32) -> Listed {
        (PublicId::from_bytes([id; 16]), NOW, score)
    }

    fn ids(lists: &Lists) -> Vec<u8> {
        mix(lists, 10, NOW).iter().map(|hit| hit.id.as_bytes()[0]).collect()
    }

    #[test]
    fn scores_are_shares_of_their_lists_best_and_neighbours_count_twice() {
        let lists = Lists {
            alone: vec![listed(1, 100.0), listed(2, 50.0)],
            around: vec![listed(2, 0.3), listed(3, 0.1)],
            dense: None,
        };
        assert_eq!(ids(&lists), [2, 1, 3]);
        let best = mix(&lists, 1, NOW)[0].score;
        assert!((best - (0.5 + 2.0) / 3.0).abs() < 1e-6, "{best}");
        let dense = Some(vec![listed(3, 0.9), listed(1, -0.5)]);
        assert_eq!(ids(&Lists { dense, ..lists }), [3, 2, 1]);
    }

    #[test]
    fn what_is_in_no_list_or_answers_nothing_is_left_out() {
        assert_eq!(ids(&Lists::default()), [0_u8; 0]);
        assert_eq!(ids(&Lists { alone: vec![listed(1, 0.0)], ..Lists::default() }), [0_u8; 0]);
    }
}
