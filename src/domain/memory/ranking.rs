//! Which memories of one person answer a question best: BM25 over each memory, mixed with BM25 over each memory together
//! with its neighbours, and a gentle preference for what was said lately.
//!
//! All counts are those of one person, so that what others say moves nothing. Chosen on the five conversations of `LoCoMo`
//! that are open: two neighbours on each side, and twice the weight for them, found 67.7 % of the evidence among the first five
//! (one neighbour and equal weight: 63.6 %); `k1` and `b` within wide bounds change less than half a point.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::memory::words::Term;

/// How soon more of the same word stops to count, and how much long texts are held back (Robertson and Zaragoza 2009).
const K1: f32 = 0.9;
const B: f32 = 0.4;
/// Neighbours on each side.
pub const NEIGHBOURS: usize = 2;
/// What a memory with its neighbours counts for, against 1 for the memory alone.
pub(crate) const WITH_NEIGHBOURS: f32 = 2.0;
/// In so long the preference for what is new halves.
const FRESH_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The most different words of a question that are looked for.
pub const MOST_TERMS: usize = 64;

/// The words of a question.
pub struct Question {
    terms: Vec<Term>,
    /// A bit for each word's last ten bits: most words of a memory are none of the question's, and are passed over by this.
    maybe: [u64; 16],
}

impl Question {
    /// Of these words, each counts once.
    #[must_use]
    pub fn new(words: &[Term]) -> Self {
        let mut question = Self { terms: Vec::new(), maybe: [0; 16] };
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

    /// True when there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
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

struct Looked {
    key: i64,
    said_at: i64,
    length: f32,
    /// The first memory of the same thread, and where its hits begin.
    thread_start: usize,
    hits: usize,
}

#[derive(Clone, Copy)]
struct Hit {
    term: u8,
    times: f32,
}

/// Looks at all memories of a person, one after the other, and then tells the best.
pub struct Ranking<'a> {
    question: &'a Question,
    looked: Vec<Looked>,
    hits: Vec<Hit>,
    thread: Option<i64>,
}

impl<'a> Ranking<'a> {
    /// Nothing looked at yet.
    #[must_use]
    pub fn new(question: &'a Question) -> Self {
        Self { question, looked: Vec::new(), hits: Vec::new(), thread: None }
    }

    /// Looks at the next memory. Those of one thread come one after the other, in the order in which they were said;
    /// `None` is one that has no neighbours.
    pub fn look(&mut self, key: i64, thread: Option<i64>, said_at: i64, terms: impl Iterator<Item = Term>) {
        let here = self.looked.len();
        let goes_on = thread.is_some() && thread == self.thread;
        let before = self.looked.last().filter(|_| goes_on);
        let thread_start = before.map_or(here, |before| before.thread_start);
        self.thread = thread;
        let (begin, mut length) = (self.hits.len(), 0.0);
        for term in terms {
            length += 1.0;
            if let Some(place) = self.question.place(term) {
                self.count(begin, place);
            }
        }
        self.looked.push(Looked { key, said_at, length, thread_start, hits: begin });
    }

    fn count(&mut self, begin: usize, term: u8) {
        match self.hits[begin..].iter_mut().find(|hit| hit.term == term) {
            Some(hit) => hit.times += 1.0,
            None => self.hits.push(Hit { term, times: 1.0 }),
        }
    }

    /// The best `limit` of all that have something to do with the question, the best first; of two that are as good, the newer.
    #[must_use]
    pub fn best(&self, limit: usize, now: Timestamp) -> Vec<Scored> {
        let alone = self.scores(0);
        let around = self.scores(NEIGHBOURS);
        let mut found: Vec<(Scored, i64)> = Vec::new();
        for ((memory, alone), around) in self.looked.iter().zip(alone).zip(around) {
            let mixed = (alone + WITH_NEIGHBOURS * around) / (1.0 + WITH_NEIGHBOURS);
            if mixed > 0.0 {
                let score = mixed * freshness(now, Timestamp::from_millis(memory.said_at));
                found.push((Scored { key: memory.key, score }, memory.said_at));
            }
        }
        let order = |(a, a_said): &(Scored, i64), (b, b_said): &(Scored, i64)| {
            b.score.total_cmp(&a.score).then(b_said.cmp(a_said)).then(b.key.cmp(&a.key))
        };
        if found.len() > limit && limit > 0 {
            found.select_nth_unstable_by(limit - 1, order);
        }
        found.truncate(limit);
        found.sort_unstable_by(order);
        found.into_iter().map(|(scored, _)| scored).collect()
    }

    /// The BM25 of every memory with so many neighbours on each side, as a share of the best one's.
    fn scores(&self, neighbours: usize) -> Vec<f32> {
        let windows: Vec<_> = (0..self.looked.len()).map(|at| self.window(at, neighbours)).collect();
        let lengths = self.window_lengths(&windows);
        let average = lengths.iter().sum::<f32>() / count(lengths.len().max(1));
        let weights = self.weights(&windows);
        let mut scores: Vec<f32> = Vec::with_capacity(windows.len());
        for (window, length) in windows.iter().zip(lengths) {
            let hits = self.hits_in(window);
            if hits.is_empty() {
                scores.push(0.0);
                continue;
            }
            let held_back = K1 * (1.0 - B + B * length / average.max(1.0));
            let of_term = |(times, weight): (&f32, &f32)| {
                if *times > 0.0 { weight * times / (times + held_back) } else { 0.0 }
            };
            scores.push(self.times(hits).iter().zip(&weights).map(of_term).sum());
        }
        let best = scores.iter().copied().fold(0.0, f32::max);
        if best > 0.0 {
            scores.iter_mut().for_each(|score| *score /= best);
        }
        scores
    }

    /// The memories from the first to the one after the last.
    fn window(&self, at: usize, neighbours: usize) -> std::ops::Range<usize> {
        let start = self.looked[at].thread_start;
        let mut end = at + 1;
        while end <= at + neighbours && self.looked.get(end).is_some_and(|next| next.thread_start == start) {
            end += 1;
        }
        at.saturating_sub(neighbours).max(start)..end
    }

    fn window_lengths(&self, windows: &[std::ops::Range<usize>]) -> Vec<f32> {
        let of = |window: &std::ops::Range<usize>| {
            self.looked[window.clone()].iter().map(|memory| memory.length).sum()
        };
        windows.iter().map(of).collect()
    }

    fn hits_in(&self, window: &std::ops::Range<usize>) -> &[Hit] {
        let end = self.looked.get(window.end).map_or(self.hits.len(), |after| after.hits);
        &self.hits[self.looked[window.start].hits..end]
    }

    fn times(&self, hits: &[Hit]) -> [f32; MOST_TERMS] {
        let mut times = [0.0; MOST_TERMS];
        for hit in hits {
            times[usize::from(hit.term)] += hit.times;
        }
        times
    }

    /// How much each word of the question tells: the fewer windows have it, the more.
    fn weights(&self, windows: &[std::ops::Range<usize>]) -> Vec<f32> {
        let mut having = vec![0_u32; self.question.terms.len()];
        for window in windows {
            let hits = self.hits_in(window);
            let mut seen = 0_u64;
            for hit in hits {
                if seen & 1 << hit.term == 0 {
                    seen |= 1 << hit.term;
                    having[usize::from(hit.term)] += 1;
                }
            }
        }
        let all = count(windows.len());
        let weight = |having: u32| {
            let having = count(having as usize);
            (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
        };
        having.into_iter().map(weight).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "memories of one person: far below 2^24")]
fn count(number: usize) -> f32 {
    number as f32
}

/// How much a text of so many words is held back where texts have `usual` words, and at most `longest` times as many count.
pub(crate) fn held_back(words: usize, usual: f32, longest: f32) -> f32 {
    K1 * (1.0 - B + B * (count(words) / usual).min(longest))
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

    use super::*;
    use crate::domain::memory::words::terms;

    const NOW: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    fn ranked(memories: &[(Option<i64>, i64, &str)], asked: &str) -> Vec<Scored> {
        let question = Question::new(&terms(asked));
        let mut ranking = Ranking::new(&question);
        for (key, (thread, said_at, text)) in (0..).zip(memories) {
            ranking.look(key, *thread, *said_at, terms(text).into_iter());
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
