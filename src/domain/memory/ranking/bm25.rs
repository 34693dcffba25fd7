//! BM25 over each of a person's memories, or over each together with its neighbours.

use std::ops::Range;

use super::{MOST_TERMS, Question};
use crate::domain::memory::words::Term;

/// How soon more of the same word stops to count, and how much long texts are held back (Robertson and Zaragoza 2009).
const K1: f32 = 0.9;
const B: f32 = 0.4;
/// Neighbours on each side.
pub(crate) const NEIGHBOURS: usize = 2;
/// What a memory with its neighbours counts for, against 1 for the memory alone.
pub(crate) const WITH_NEIGHBOURS: f32 = 2.0;

/// A memory's text.
struct Text {
    /// The first memory of the same thread.
    thread_start: usize,
    /// How many words, and how many hits, all before it have.
    words: usize,
    hits: usize,
}

#[derive(Clone, Copy)]
struct Hit {
    memory: usize,
    term: u8,
    times: f32,
}

/// The words of all memories of a person, as far as a question asks for them.
pub(super) struct Words<'a> {
    question: &'a Question,
    texts: Vec<Text>,
    hits: Vec<Hit>,
    words: usize,
}

impl<'a> Words<'a> {
    pub(super) const fn new(question: &'a Question) -> Self {
        Self { question, texts: Vec::new(), hits: Vec::new(), words: 0 }
    }

    /// The next memory; one that `goes_on` is of the same thread as the one before.
    pub(super) fn add(&mut self, goes_on: bool, terms: impl Iterator<Item = Term>) {
        let here = self.texts.len();
        let before = self.texts.last().filter(|_| goes_on);
        let thread_start = before.map_or(here, |before| before.thread_start);
        let begin = self.hits.len();
        self.texts.push(Text { thread_start, words: self.words, hits: begin });
        for term in terms {
            self.words += 1;
            if let Some(term) = self.question.place(term) {
                match self.hits[begin..].iter_mut().find(|hit| hit.term == term) {
                    Some(hit) => hit.times += 1.0,
                    None => self.hits.push(Hit { memory: here, term, times: 1.0 }),
                }
            }
        }
    }

    /// What each memory has by its words: its share of the best one alone, and of the best one with neighbours.
    pub(super) fn shares(&self) -> Vec<f32> {
        let (alone, around) = (self.scores(0), self.scores(NEIGHBOURS));
        let mixed = alone.into_iter().zip(around);
        mixed.map(|(alone, around)| alone + WITH_NEIGHBOURS * around).collect()
    }

    /// The BM25 of every memory with so many neighbours on each side, as a share of the best one's.
    fn scores(&self, neighbours: usize) -> Vec<f32> {
        let mut scores = vec![0.0; self.texts.len()];
        if self.hits.is_empty() {
            return scores;
        }
        let windows = || (0..self.texts.len()).map(|at| self.window(at, neighbours));
        let words: usize = windows().map(|window| self.words_in(&window)).sum();
        let average = (count(words) / count(self.texts.len())).max(1.0);
        let weights = self.weights(neighbours);
        let mut best = 0.0_f32;
        for (score, window) in scores.iter_mut().zip(windows()) {
            let hits = self.hits_in(&window);
            if !hits.is_empty() {
                let held_back = held_back(self.words_in(&window), average, f32::INFINITY);
                *score = bm25(hits, &weights, held_back);
                best = best.max(*score);
            }
        }
        if best > 0.0 {
            scores.iter_mut().for_each(|score| *score /= best);
        }
        scores
    }

    /// The memories from the first to the one after the last.
    fn window(&self, at: usize, neighbours: usize) -> Range<usize> {
        let start = self.texts[at].thread_start;
        let mut end = at + 1;
        while end <= at + neighbours && self.texts.get(end).is_some_and(|next| next.thread_start == start) {
            end += 1;
        }
        at.saturating_sub(neighbours).max(start)..end
    }

    fn words_in(&self, window: &Range<usize>) -> usize {
        let until = self.texts.get(window.end).map_or(self.words, |after| after.words);
        until - self.texts[window.start].words
    }

    fn hits_in(&self, window: &Range<usize>) -> &[Hit] {
        let until = self.texts.get(window.end).map_or(self.hits.len(), |after| after.hits);
        &self.hits[self.texts[window.start].hits..until]
    }

    /// How much each word of the question tells: the fewer windows have it, the more.
    fn weights(&self, neighbours: usize) -> Vec<f32> {
        let mut having = vec![0; self.question.terms.len()];
        // Each word's windows come one after the other: of a hit's windows those are new that come after these.
        let mut counted_until = vec![0; self.question.terms.len()];
        for hit in &self.hits {
            let (term, near) = (usize::from(hit.term), self.window(hit.memory, neighbours));
            let new = near.start.max(counted_until[term])..near.end;
            having[term] += new.len();
            counted_until[term] = near.end;
        }
        let all = count(self.texts.len());
        let weight = |having: usize| {
            let having = count(having);
            (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
        };
        having.into_iter().map(weight).collect()
    }
}

fn bm25(hits: &[Hit], weights: &[f32], held_back: f32) -> f32 {
    let mut times = [0.0; MOST_TERMS];
    for hit in hits {
        times[usize::from(hit.term)] += hit.times;
    }
    let of_term = |(times, weight): (&f32, &f32)| {
        if *times > 0.0 { weight * times / (times + held_back) } else { 0.0 }
    };
    times.iter().zip(weights).map(of_term).sum()
}

#[expect(clippy::cast_precision_loss, reason = "memories of one person and their words: far below 2^24")]
pub(super) fn count(number: usize) -> f32 {
    number as f32
}

/// How much a text of so many words is held back where texts have `usual` words, and at most `longest` times as many count.
pub(crate) fn held_back(words: usize, usual: f32, longest: f32) -> f32 {
    K1 * (1.0 - B + B * (count(words) / usual).min(longest))
}
