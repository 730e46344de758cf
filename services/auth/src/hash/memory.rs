//! The memory that argon2 fills, kept between hashes.
//!
//! Fresh memory costs a page fault per 4 KiB, and freed memory still holds what
//! was computed in it. What argon2 leaves behind can be run backwards to its
//! first block, and that block tells a guessed password from another without
//! argon2's cost. So a buffer is wiped before it is put back, and dropped only
//! when it is clean.
//!
//! The pool is bounded by its users: who takes a buffer has a permit to hash.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use argon2::Block;

/// Clean buffers that nobody uses.
#[derive(Debug)]
pub(super) struct Memory {
    /// The blocks of a hash with today's parameters; no more are kept.
    kept: usize,
    idle: Mutex<Vec<Buffer>>,
}

/// Blocks that are wiped when they are dropped.
#[derive(Debug, Default)]
struct Buffer(Vec<Block>);

impl Memory {
    pub(super) const fn new(kept: usize) -> Self {
        Self { kept, idle: Mutex::new(Vec::new()) }
    }

    /// Lends at least that many blocks to the work. Their content is zero or
    /// arbitrary; argon2 writes each before it reads it.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut buffer = self.take();
        buffer.0.resize(blocks.max(buffer.0.len()), Block::new());
        let done = work(&mut buffer.0);
        buffer.wipe();
        self.put_back(buffer);
        done
    }

    fn take(&self) -> Buffer {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    fn put_back(&self, mut buffer: Buffer) {
        buffer.0.truncate(self.kept);
        buffer.0.shrink_to_fit();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

impl Buffer {
    fn wipe(&mut self) {
        self.0.fill(Block::new());
        // The memory is looked at, as far as the compiler knows.
        black_box(&mut self.0);
    }
}

/// A panic in the middle of a hash leaves nothing behind either.
impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.wipe();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(memory: &Memory) -> Vec<usize> {
        memory.idle.lock().unwrap().iter().map(|buffer| buffer.0.len()).collect()
    }

    fn is_zero(blocks: &[Block]) -> bool {
        blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }

    #[test]
    fn a_buffer_is_used_again_and_never_seen_unwiped() {
        let memory = Memory::new(4);
        let address = |blocks: &mut [Block]| {
            assert!(is_zero(blocks), "a lent buffer is clean");
            blocks[3].as_mut()[7] = 1;
            blocks.as_ptr().addr()
        };
        let first = memory.lend(4, address);
        assert_eq!(memory.lend(4, address), first, "the same memory");
        assert_eq!(idle(&memory), [4]);
        assert!(is_zero(&memory.idle.lock().unwrap()[0].0), "wiped when it is put back");
    }

    #[test]
    fn two_at_once_have_two_buffers_and_a_larger_one_is_not_kept() {
        let memory = Memory::new(4);
        memory.lend(4, |outer| {
            outer[0].as_mut()[0] = 1;
            memory.lend(64, |inner| assert_eq!(inner.len(), 64));
        });
        assert_eq!(idle(&memory), [4, 4]);
    }

    #[test]
    fn a_smaller_need_gets_a_buffer_that_is_there() {
        let memory = Memory::new(4);
        memory.lend(4, |_| ());
        assert_eq!(memory.lend(2, |blocks| blocks.len()), 4);
        assert_eq!(idle(&memory), [4]);
    }
}
