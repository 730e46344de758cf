//! The memory that argon2 fills, kept between hashes.
//!
//! Fresh memory costs a page fault per 4 KiB, and freed memory still holds what
//! was computed in it. An attacker can run the memory that argon2 leaves
//! backwards to its first block, and that block tells a guessed password from another without
//! argon2's cost. So a buffer is wiped as soon as no hash waits for it: the next
//! hash would overwrite it, and a buffer is freed only when it is clean.
//!
//! The pool is bounded by its users: who takes a buffer has a permit to hash.

use std::hint::black_box;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use argon2::Block;

/// Buffers that nobody uses.
#[derive(Debug)]
pub(super) struct Memory {
    /// The blocks of a hash with today's parameters; no more are kept.
    kept: usize,
    idle: Mutex<Vec<Buffer>>,
}

/// Blocks that are wiped before they are freed.
#[derive(Debug, Default)]
struct Buffer {
    blocks: Vec<Block>,
    /// Whether they hold what a hash has left.
    used: bool,
}

impl Memory {
    pub(super) const fn new(kept: usize) -> Self {
        Self { kept, idle: Mutex::new(Vec::new()) }
    }

    /// Lends at least that many blocks to the work. Their content is arbitrary;
    /// argon2 writes each before it reads it.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut buffer = self.lock().pop().unwrap_or_default();
        buffer.used = true;
        buffer.blocks.resize(blocks.max(buffer.blocks.len()), Block::new());
        let done = work(&mut buffer.blocks);
        buffer.cut(self.kept);
        self.lock().push(buffer);
        done
    }

    /// Wipes what nobody uses: no hash is there to overwrite it. One at a time, so
    /// that no hash has to make a buffer because all are being wiped.
    pub(super) fn wipe(&self) {
        while let Some(mut buffer) = self.used() {
            buffer.wipe();
            self.lock().push(buffer);
        }
    }

    fn used(&self) -> Option<Buffer> {
        let mut idle = self.lock();
        let at = idle.iter().position(|buffer| buffer.used)?;
        Some(idle.swap_remove(at))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Buffer>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Keeps so many blocks and frees the others.
    fn cut(&mut self, kept: usize) {
        if self.blocks.len() > kept {
            self.wipe();
            self.blocks.truncate(kept);
            self.blocks.shrink_to_fit();
        }
    }

    fn wipe(&mut self) {
        if take(&mut self.used) {
            self.blocks.fill(Block::new());
            // The memory is looked at, as far as the compiler knows.
            black_box(&mut self.blocks);
        }
    }
}

/// A panic in the middle of a hash leaves nothing behind either.
impl Drop for Buffer {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(memory: &Memory) -> Vec<usize> {
        memory.lock().iter().map(|buffer| buffer.blocks.len()).collect()
    }

    fn is_zero(blocks: &[Block]) -> bool {
        blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }

    #[test]
    fn a_buffer_is_used_again_and_wiped_when_nobody_wants_it() {
        let memory = Memory::new(4);
        let first = memory.lend(4, |blocks| {
            blocks[3].as_mut()[7] = 1;
            blocks.as_ptr().addr()
        });
        assert_eq!(memory.lend(4, |blocks| blocks.as_ptr().addr()), first, "the same memory");
        assert!(!is_zero(&memory.lock()[0].blocks), "the next hash would overwrite it");
        memory.wipe();
        assert_eq!(idle(&memory), [4]);
        assert!(is_zero(&memory.lock()[0].blocks));
    }

    #[test]
    fn a_larger_buffer_is_wiped_before_a_part_of_it_is_freed() {
        let mut buffer = Buffer { blocks: vec![Block::new(); 8], used: true };
        buffer.blocks[1].as_mut()[0] = 1;
        buffer.cut(4);
        assert!(buffer.blocks.len() == 4 && is_zero(&buffer.blocks) && !buffer.used);
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
