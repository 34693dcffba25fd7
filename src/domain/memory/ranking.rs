//! Which memories of one person answer a question best: BM25 over each memory, mixed with BM25 over each memory together
//! with its neighbours and, where there are vectors, with how alike its meaning is; and a gentle preference for what was said lately.
//!
//! All counts are those of one person, so that what others say moves nothing. Chosen on the five conversations of `LoCoMo`
//! that are open: two neighbours on each side, and twice the weight for them, found 67.7 % of the evidence among the first five
//! (one neighbour and equal weight: 63.6 %); `k1` and `b` within wide bounds change less than half a point. With the vectors of
//! all-MiniLM-L6-v2, weighed half as much as the words, 70.5 %.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::embedding::Meaning;
use crate::domain::memory::words::Term;

mod bm25;
mod meaning;

use bm25::Words;
pub(crate) use bm25::{NEIGHBOURS, WITH_NEIGHBOURS, held_back};
pub(crate) use meaning::{MEANING, Scale};

/// In so long the preference for what is new halves.
const FRESH_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The most different words of a question that are looked for.
pub const MOST_TERMS: usize = 64;

/// What is asked: its words, and what it means.
pub struct Question {
    terms: Vec<Term>,
    /// A bit for each word's last ten bits: most words of a memory are none of the question's, and are passed over by this.
    maybe: [u64; 16],
    meaning: Option<Meaning>,
}

impl Question {
    /// Of these words, each counts once.
    #[must_use]
    pub fn new(words: &[Term]) -> Self {
        let mut question = Self { terms: Vec::new(), maybe: [0; 16], meaning: None };
        for word in words {
            if question.terms.len() < MOST_TERMS && question.place(*word).is_none() {
                question.terms.push(*word);
                question.maybe[slot(*word)] |= 1 << (word & 63);
            }
        }
        question
    }

    /// Its words.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// With what it means, where that is known.
    #[must_use]
    pub fn meaning_also(self, meaning: Option<Meaning>) -> Self {
        Self { meaning, ..self }
    }

    /// What it means, where that is known.
    #[must_use]
    pub fn meaning(&self) -> Option<&Meaning> {
        self.meaning.as_ref()
    }

    /// True when there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.meaning.is_none()
    }

    fn place(&self, term: Term) -> Option<u8> {
        if self.maybe[slot(term)] & (1 << (term & 63)) == 0 {
            return None;
        }
        self.terms.iter().zip(0..).find(|(wanted, _)| **wanted == term).map(|(_, place)| place)
    }
}

const fn slot(term: Term) -> usize {
    (term >> 6 & 15) as usize
}

/// A memory that answers, and how well: above 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Its row.
    pub key: i64,
    /// How well.
    pub score: f32,
}

/// A memory that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its row.
    pub key: i64,
    /// Its thread; `None` has no neighbours.
    pub thread: Option<i64>,
    /// When it was said.
    pub said_at: Timestamp,
    /// How alike its meaning is to the question's, where both are known.
    pub likeness: Option<f32>,
}

struct Looked {
    key: i64,
    said_at: Timestamp,
    likeness: Option<f32>,
}

/// Looks at all memories of a person, one after the other, and then tells the best.
pub struct Ranking<'a> {
    words: Words<'a>,
    looked: Vec<Looked>,
    thread: Option<i64>,
}

impl<'a> Ranking<'a> {
    /// Nothing looked at yet.
    #[must_use]
    pub const fn new(question: &'a Question) -> Self {
        Self { words: Words::new(question), looked: Vec::new(), thread: None }
    }

    /// Looks at the next memory. Those of one thread come one after the other, in the order in which they were said.
    pub fn look(&mut self, next: Candidate, terms: impl Iterator<Item = Term>) {
        let Candidate { key, thread, said_at, likeness } = next;
        self.words.add(thread.is_some() && thread == self.thread, terms);
        self.thread = thread;
        self.looked.push(Looked { key, said_at, likeness });
    }

    /// The best `limit` of all that have something to do with the question, the best first; of two that are as good, the newer.
    #[must_use]
    pub fn best(&self, limit: usize, now: Timestamp) -> Vec<Scored> {
        let scale = Scale::of(self.looked.iter().filter_map(|memory| memory.likeness));
        let whole = 1.0 + WITH_NEIGHBOURS + if scale.is_some() { MEANING } else { 0.0 };
        let mut found: Vec<(Scored, Timestamp)> = Vec::new();
        for (memory, words) in self.looked.iter().zip(self.words.shares()) {
            let meant = scale.zip(memory.likeness);
            let alike = meant.map_or(0.0, |(scale, likeness)| scale.share(likeness));
            if words > 0.0 || meant.is_some_and(|(scale, likeness)| scale.is_alike(likeness)) {
                let score = (words + MEANING * alike) / whole * freshness(now, memory.said_at);
                found.push((Scored { key: memory.key, score }, memory.said_at));
            }
        }
        let order = |(a, a_said): &(Scored, Timestamp), (b, b_said): &(Scored, Timestamp)| {
            b.score.total_cmp(&a.score).then(b_said.cmp(a_said)).then(b.key.cmp(&a.key))
        };
        if found.len() > limit && limit > 0 {
            found.select_nth_unstable_by(limit - 1, order);
        }
        found.truncate(limit);
        found.sort_unstable_by(order);
        found.into_iter().map(|(scored, _)| scored).collect()
    }
}

/// 1 for what is said now, falling towards one half with age.
#[expect(clippy::cast_possible_truncation, reason = "a factor between one half and one")]
pub(crate) fn freshness(now: Timestamp, said_at: Timestamp) -> f32 {
    let age = now.since(said_at).as_secs_f64() / FRESH_FOR.as_secs_f64();
    (0.5 + 0.5 * (-age).exp2()) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::bm25::count;
    use super::*;
    use crate::domain::embedding::Vector;
    use crate::domain::memory::words::terms;

    const NOW: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    fn ranked(memories: &[(Option<i64>, i64, &str)], asked: &str) -> Vec<Scored> {
        let question = Question::new(&terms(asked));
        let mut ranking = Ranking::new(&question);
        for (key, (thread, said_at, text)) in (0..).zip(memories) {
            let said_at = Timestamp::from_millis(*said_at);
            let next = Candidate { key, thread: *thread, said_at, likeness: None };
            ranking.look(next, terms(text).into_iter());
        }
        ranking.best(10, NOW)
    }

    fn keys(found: &[Scored]) -> Vec<i64> {
        found.iter().map(|scored| scored.key).collect()
    }

    #[test]
    fn the_rarer_word_counts_more_and_what_has_none_is_not_found() {
        let said = NOW.as_millis();
        let memories = [
            (None, said, "I like tea with milk"),
            (None, said, "I like tea from Nepal"),
            (None, said, "My dog is called Bruno"),
        ];
        assert_eq!(keys(&ranked(&memories, "Which tea from Nepal do I like?")), [1, 0]);
        assert_eq!(keys(&ranked(&memories, "what is the dog's name")), [2]);
        assert!(ranked(&memories, "cathedrals").is_empty() && ranked(&memories, "what did I do?").is_empty());
        assert!(ranked(&[], "tea").is_empty());
    }

    #[test]
    fn of_a_question_so_many_different_words_are_looked_for() {
        let words: Vec<String> = (0..MOST_TERMS + 10).map(|number| format!("word{number}")).collect();
        let question = format!("tea tea {}", words.join(" "));
        assert_eq!(Question::new(&terms(&question)).terms().len(), MOST_TERMS);
        let memories = [&words[MOST_TERMS - 2], &words[MOST_TERMS - 1]];
        let memories = memories.map(|text| (None, NOW.as_millis(), text.as_str()));
        assert_eq!(keys(&ranked(&memories, &question)), [0]);
        assert_eq!(keys(&ranked(&memories, &words[MOST_TERMS - 1])), [1], "alone it is");
    }

    #[test]
    fn neighbours_help_those_of_the_same_thread_only() {
        let said = NOW.as_millis();
        let memories = [
            (Some(1), said, "We went to the lake"),
            (Some(1), said, "It was cold there"),
            (Some(2), said, "It was cold at home"),
            (None, said, "It was cold in the cellar"),
            (None, said, "Nobody swims"),
        ];
        let found = ranked(&memories, "How cold was the lake?");
        assert_eq!(keys(&found)[..2], [0, 1], "{found:?}");
        assert_eq!(found.len(), 4, "the last one has no word of it and no neighbour: {found:?}");
    }

    #[test]
    fn age_costs_at_most_half() {
        let year = 365 * 24 * 60 * 60 * 1000;
        let old = NOW.as_millis() - 100 * year;
        let found = ranked(
            &[(None, old, "tea"), (None, NOW.as_millis(), "tea"), (None, NOW.as_millis() - year, "tea")],
            "tea",
        );
        assert_eq!(keys(&found), [1, 2, 0]);
        assert!((found[0].score - 1.0).abs() < 1e-6 && (found[1].score - 0.75).abs() < 1e-3, "{found:?}");
        assert!(found[2].score >= 0.5 && found[2].score < 0.51, "{found:?}");
        let future = ranked(&[(None, i64::MAX, "tea"), (None, i64::MIN, "tea")], "tea");
        assert_eq!(keys(&future), [0, 1]);
    }

    fn meaning() -> Option<Meaning> {
        Vector::of(vec![1.0]).map(|vector| Meaning { model: "one".into(), vector })
    }

    /// How alike each memory is, and what it says.
    fn meant(memories: &[(Option<f32>, &str)], asked: &str) -> Vec<Scored> {
        let question = Question::new(&terms(asked)).meaning_also(meaning());
        let mut ranking = Ranking::new(&question);
        for (key, (likeness, text)) in (0..).zip(memories) {
            let next = Candidate { key, thread: None, said_at: NOW, likeness: *likeness };
            ranking.look(next, terms(text).into_iter());
        }
        ranking.best(10, NOW)
    }

    #[test]
    fn what_means_the_same_is_found_without_a_common_word() {
        let memories = [
            (Some(0.1), "I like tea"),
            (Some(0.7), "My home is in Porto"),
            (Some(0.0), "My dog is called Bruno"),
            (Some(0.3), "I work in a bakery"),
        ];
        assert_eq!(keys(&meant(&memories, "Which town do I live in?")), [1]);
        assert_eq!(keys(&meant(&memories, "tea")), [0, 1]);
        assert_eq!(keys(&meant(&memories, "what did I do?")), [1], "words that tell nothing mean something");
    }

    #[test]
    fn words_and_meaning_count_both_and_who_has_no_vector_yet_is_found_by_words() {
        let memories = [(Some(0.5), "tea"), (Some(0.6), "coffee"), (Some(0.0), "milk"), (None, "tea")];
        let found = meant(&memories, "tea");
        assert_eq!(keys(&found), [0, 3, 1], "{found:?}");
        assert!(found.iter().all(|scored| scored.score > 0.0 && scored.score <= 1.0));
        assert_eq!(keys(&meant(&[(None, "tea"), (None, "milk")], "tea")), [0]);
        assert!((meant(&[(None, "tea")], "tea")[0].score - 1.0).abs() < 1e-6, "words alone are all there is");
    }

    #[test]
    fn a_single_memory_is_found_when_it_is_alike_at_all() {
        assert_eq!(keys(&meant(&[(Some(0.2), "My home is in Porto")], "Which town?")), [0]);
        for too_little in [0.19, 0.0, -0.1] {
            assert!(meant(&[(Some(too_little), "My home is in Porto")], "Which town?").is_empty());
        }
        assert!(meant(&[(Some(f32::NAN), "tea")], "town").len() <= 1);
    }

    proptest! {
        /// The window of each memory, counted in the plain way, gives the same result.
        #[test]
        fn what_is_told_is_bm25(texts in proptest::collection::vec(("[abc]( [abcd]){0,6}", 0..3_i64), 0..30)) {
            let mut texts = texts;
            texts.sort_by_key(|(_, thread)| *thread);
            let memories: Vec<_> = texts.iter()
                .map(|(text, thread)| ((*thread > 0).then_some(*thread), NOW.as_millis(), text.as_str())).collect();
            let found = ranked(&memories, "b c c d");
            let expected = plainly(&memories, &["b", "c", "d"]);
            let of = |key: i64| expected[usize::try_from(key).unwrap()];
            for scored in &found {
                prop_assert!((scored.score - of(scored.key)).abs() < 1e-4, "{scored:?} {expected:?}");
            }
            let missed = expected.iter().filter(|score| **score > 0.0).count();
            prop_assert_eq!(found.len(), missed.min(10));
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    }

    fn plainly(memories: &[(Option<i64>, i64, &str)], wanted: &[&str]) -> Vec<f32> {
        let words = |text: &str| -> Vec<String> {
            text.split(' ').filter(|word| *word != "a").map(str::to_owned).collect()
        };
        let bm25 = |reach: usize| {
            let docs: Vec<Vec<String>> = (0..memories.len())
                .map(|at| {
                    let near = at.saturating_sub(reach)..(at + reach + 1).min(memories.len());
                    let mine = memories[at].0;
                    let same =
                        near.filter(|other| *other == at || mine.is_some() && memories[*other].0 == mine);
                    same.flat_map(|other| words(memories[other].2)).collect()
                })
                .collect();
            let n = count(docs.len());
            let average = (docs.iter().map(Vec::len).sum::<usize>() as f32 / n.max(1.0)).max(1.0);
            let score = |doc: &Vec<String>| -> f32 {
                wanted
                    .iter()
                    .map(|word| {
                        let having = count(docs.iter().filter(|doc| doc.iter().any(|w| w == word)).count());
                        let times = count(doc.iter().filter(|w| w == word).count());
                        let idf = (1.0 + (n - having + 0.5) / (having + 0.5)).ln();
                        idf * times / (times + 0.9 * (0.6 + 0.4 * count(doc.len()) / average))
                    })
                    .sum()
            };
            let scores: Vec<f32> = docs.iter().map(score).collect();
            let best = scores.iter().copied().fold(0.0, f32::max);
            scores.into_iter().map(|score| if best > 0.0 { score / best } else { 0.0 }).collect::<Vec<_>>()
        };
        bm25(0).iter().zip(bm25(2)).map(|(alone, around)| (alone + 2.0 * around) / 3.0).collect()
    }
}
