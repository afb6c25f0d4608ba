//! The model's answers that a plugin hears piece by piece.

use crate::bindings::imports::mandate::llm_stream::llm_stream::Piece;
use crate::error::Error;
use crate::llm::{Request, Response};
use std::collections::{BTreeMap, VecDeque};

/// As in the contract.
const MOST: usize = 16;

/// Those that are open, by their numbers.
#[derive(Default)]
pub struct Answers {
    open: BTreeMap<u64, Answer>,
    last: u64,
}

enum Answer {
    /// Nobody was asked yet.
    Opened(Request),
    /// What is still to be heard.
    Played(VecDeque<Piece>),
}

/// What a pull comes to.
pub enum Next {
    /// The model has to be asked this.
    Ask(Request),
    /// This is heard.
    Piece(Piece),
}

impl Answers {
    pub fn open(&mut self, request: &Request) -> Result<u64, Error> {
        if self.open.len() >= MOST {
            return Err(Error::Conflict(format!("{MOST} answers are open already")));
        }
        self.last += 1;
        self.open.insert(self.last, Answer::Opened(request.clone()));
        Ok(self.last)
    }

    pub fn next(&mut self, number: u64) -> Result<Next, Error> {
        let next = match self.open.get_mut(&number) {
            Some(Answer::Opened(request)) => return Ok(Next::Ask(request.clone())),
            Some(Answer::Played(pieces)) => pieces.pop_front(),
            None => None,
        };
        let Some(piece) = next else {
            return Err(Error::NotFound(format!("open answer {number}")));
        };
        if matches!(piece, Piece::End(_)) {
            self.close(number);
        }
        Ok(Next::Piece(piece))
    }

    /// Cuts the text in its middle, and gives the first piece.
    pub fn play(&mut self, number: u64, response: Response) -> Piece {
        let text = &response.message.text;
        let half = text.chars().count().div_ceil(2);
        let first: String = text.chars().take(half).collect();
        let second: String = text.chars().skip(half).collect();
        let texts = [first, second].into_iter().filter(|text| !text.is_empty());
        let mut pieces: VecDeque<Piece> = texts.map(Piece::Text).collect();
        let first = pieces.pop_front();
        let Some(first) = first else {
            self.close(number);
            return Piece::End(response);
        };
        pieces.push_back(Piece::End(response));
        self.open.insert(number, Answer::Played(pieces));
        first
    }

    pub fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}
