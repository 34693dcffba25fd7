//! Lists of memories that were ranked in several ways become one, as [`super::ranking`] mixes: each score by words as a share of its
//! list's best, meanings between their mean and the most alike one, all mixed by weight, and less with age.

use std::collections::HashMap;

use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::Hit;
use crate::domain::memory::ranking::{MEANING, Scale, WITH_NEIGHBOURS, freshness};

/// A memory in a list: its id, when it was said, its score in that list.
pub type Listed = (MemoryId, Timestamp, f32);

/// The lists of one question.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// By the words of each memory.
    pub alone: Vec<Listed>,
    /// By its words and its neighbours'.
    pub around: Vec<Listed>,
    /// By its meaning, as a cosine; empty where that was not asked for, or is known of none.
    pub dense: Vec<Listed>,
}

/// How well a memory answers, before its age counts.
struct Mixed {
    said_at: Timestamp,
    score: f32,
    /// False when only its meaning speaks for it, and that not clearly.
    answers: bool,
}

/// The best `limit` of all, the best first; of two that are as good, the newer.
#[must_use]
pub fn mix(lists: &Lists, limit: usize, now: Timestamp) -> Vec<Hit> {
    let mut mixed = HashMap::new();
    let scale = Scale::of(lists.dense.iter().map(|(.., likeness)| *likeness));
    let whole = 1.0 + WITH_NEIGHBOURS + if scale.is_some() { MEANING } else { 0.0 };
    by_words(&mut mixed, &lists.alone, 1.0 / whole);
    by_words(&mut mixed, &lists.around, WITH_NEIGHBOURS / whole);
    if let Some(scale) = scale {
        for listed in &lists.dense {
            let likeness = listed.2;
            add(&mut mixed, listed, MEANING / whole * scale.share(likeness), scale.is_alike(likeness));
        }
    }
    let mut found: Vec<(Timestamp, Hit)> = mixed
        .into_iter()
        .filter(|(_, memory)| memory.answers)
        .map(|(id, Mixed { said_at, score, .. })| {
            (said_at, Hit { id, score: score * freshness(now, said_at) })
        })
        .collect();
    found.sort_unstable_by(|(a_said, a), (b_said, b)| {
        b.score.total_cmp(&a.score).then(b_said.cmp(a_said)).then(b.id.cmp(&a.id))
    });
    found.truncate(limit);
    found.into_iter().map(|(_, hit)| hit).collect()
}

fn by_words(mixed: &mut HashMap<MemoryId, Mixed>, list: &[Listed], weight: f32) {
    let best = list.iter().map(|(.., score)| *score).fold(0.0, f32::max);
    for listed in list.iter().filter(|(.., score)| *score > 0.0) {
        add(mixed, listed, weight * listed.2 / best, true);
    }
}

fn add(mixed: &mut HashMap<MemoryId, Mixed>, (id, said_at, _): &Listed, score: f32, answers: bool) {
    let memory = mixed.entry(*id).or_insert(Mixed { said_at: *said_at, score: 0.0, answers: false });
    memory.score += score;
    memory.answers |= answers;
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
            dense: Vec::new(),
        };
        assert_eq!(ids(&lists), [2, 1, 3]);
        let best = mix(&lists, 1, NOW)[0].score;
        assert!((best - (0.5 + 2.0) / 3.0).abs() < 1e-6, "{best}");
    }

    #[test]
    fn meaning_counts_half_as_much_as_words_between_the_mean_and_the_most_alike() {
        let words = Lists { alone: vec![listed(1, 9.0)], around: vec![listed(1, 5.0)], dense: Vec::new() };
        // The mean is 0.3.
        let dense = vec![listed(2, 0.9), listed(1, 0.3), listed(3, 0.0), listed(4, 0.5), listed(5, -0.2)];
        let found = mix(&Lists { dense, ..words.clone() }, 10, NOW);
        let scores: Vec<(u8, f32)> = found.iter().map(|hit| (hit.id.as_bytes()[0], hit.score)).collect();
        assert_eq!(scores.len(), 2, "4 is not alike enough, 3 and 5 not at all: {scores:?}");
        assert!(scores[0].0 == 1 && (scores[0].1 - 3.0 / 4.5).abs() < 1e-6, "{scores:?}");
        assert!(scores[1].0 == 2 && (scores[1].1 - 1.5 / 4.5).abs() < 1e-6, "{scores:?}");
        let single = |likeness| ids(&Lists { dense: vec![listed(7, likeness)], ..Lists::default() });
        assert_eq!((single(0.2), single(0.19)), (vec![7], vec![]), "as the embedded index decides");
    }

    #[test]
    fn what_is_in_no_list_or_answers_nothing_is_left_out() {
        assert_eq!(ids(&Lists::default()), [0_u8; 0]);
        assert_eq!(ids(&Lists { alone: vec![listed(1, 0.0)], ..Lists::default() }), [0_u8; 0]);
    }
}
