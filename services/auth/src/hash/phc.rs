//! PHC strings: how a hash is written down, and which written hashes are
//! obeyed (`$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`).

use argon2::password_hash;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::memory::Memory;
use super::settings::{ITERATIONS_MAX, LANES_MAX, MEMORY_KIB_MAX, WORK_MAX};
use crate::password::Password;

/// RFC 9106, section 3.1: 16 bytes of salt, and a tag of 32.
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = Params::DEFAULT_OUTPUT_LEN;

/// Why argon2 gave no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// argon2 refused its input.
    #[error("argon2 refused")]
    Refused(#[source] argon2::Error),
    /// Parts of a PHC string do not fit together.
    #[error("the hash cannot be written down")]
    Unwritable(#[source] password_hash::Error),
    /// The stored string is no hash of argon2id, version 19.
    #[error("the stored hash is not one of argon2id")]
    Unreadable,
    /// The stored string asks for more than any setting allows.
    #[error("the stored hash asks for {memory_kib} KiB and {iterations} iterations")]
    Absurd {
        /// The memory it asks for.
        memory_kib: u32,
        /// The passes it asks for.
        iterations: u32,
    },
}

pub(super) fn hash(
    params: &Params,
    password: &Password,
    memory: &Memory,
) -> Result<String, HashFailure> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| HashFailure::NoRandomness)?;
    let mut tag = [0; TAG_BYTES];
    fill(params, password, &salt, &mut tag, memory)?;
    write(params, &salt, &tag).map_err(HashFailure::Unwritable)
}

/// Takes as long as a hash with today's parameters, if those ask for more work than the
/// stored ones: how long it takes must not tell that there is an account, and from when.
pub(super) fn verify(
    phc: &str,
    password: &Password,
    today: &Params,
    memory: &Memory,
) -> Result<bool, HashFailure> {
    let stored = Stored::read(phc)?;
    let mut tag = [0; Output::MAX_LENGTH];
    let tag = tag.get_mut(..stored.tag.len()).ok_or(HashFailure::Unreadable)?;
    fill(&stored.params, password, &stored.salt, tag, memory)?;
    if let Some(rest) = rest(&stored.params, today) {
        // Not the password: this is no hash that is hard to guess from.
        let nothing = Password::attempt(String::new());
        let mut unused = [0; TAG_BYTES];
        fill(&rest, &nothing, &stored.salt, &mut unused, memory)?;
        std::hint::black_box(unused);
    }
    let computed = Output::new(tag).map_err(|_| HashFailure::Unreadable)?;
    // In constant time.
    Ok(computed == stored.tag)
}

/// What a hash with the stored parameters lacks of the work of one with today's: the
/// time of argon2 goes with memory times passes.
fn rest(stored: &Params, today: &Params) -> Option<Params> {
    let lacking = work(today).checked_sub(work(stored))?;
    let passes = lacking.div_ceil(u64::from(today.m_cost())).max(1);
    let memory_kib = u32::try_from(lacking / passes).ok()?;
    let least = Params::MIN_M_COST * today.p_cost();
    // What is less than the least hash cannot be measured.
    (memory_kib >= least).then_some(())?;
    Params::new(memory_kib, u32::try_from(passes).ok()?, today.p_cost(), None).ok()
}

/// KiB times passes.
fn work(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

/// Whether a stored hash may be computed again.
pub(super) fn check(phc: &str) -> Result<(), HashFailure> {
    Stored::read(phc).map(drop)
}

/// A written hash of no password: its tag is random, not computed. Without
/// random numbers it is the one that nothing is known to hash to.
pub(super) fn decoy(params: &Params) -> String {
    let (mut salt, mut tag) = ([0; SALT_BYTES], [0; TAG_BYTES]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut tag)).ok();
    write(params, &salt, &tag).unwrap_or_default()
}

/// Whether a hash with these parameters would be stronger than the stored one
/// in memory, passes or length. A stronger stored one stays.
pub(super) fn is_weaker(phc: &str, params: &Params) -> bool {
    let Ok(stored) = Stored::read(phc) else { return true };
    stored.params.m_cost() < params.m_cost()
        || stored.params.t_cost() < params.t_cost()
        || stored.tag.len() < TAG_BYTES
        || stored.salt.len() < SALT_BYTES
}

fn fill(
    params: &Params,
    password: &Password,
    salt: &[u8],
    tag: &mut [u8],
    memory: &Memory,
) -> Result<(), HashFailure> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let password = password.expose().as_bytes();
    let work =
        |blocks: &mut [Block]| argon2.hash_password_into_with_memory(password, salt, tag, blocks);
    memory.lend(params.block_count(), work).map_err(HashFailure::Refused)
}

fn write(params: &Params, salt: &[u8], tag: &[u8]) -> Result<String, password_hash::Error> {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(tag)?),
    };
    Ok(hash.to_string())
}

/// A stored hash that may be computed again.
struct Stored {
    params: Params,
    salt: Salt,
    tag: Output,
}

impl Stored {
    fn read(phc: &str) -> Result<Self, HashFailure> {
        let hash = PasswordHash::new(phc).map_err(|_| HashFailure::Unreadable)?;
        let ours = hash.algorithm == ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into());
        let params = Params::try_from(&hash).map_err(|_| HashFailure::Unreadable)?;
        match (hash.salt, hash.hash) {
            (Some(salt), Some(tag)) if ours => Self { params, salt, tag }.within_reason(),
            _ => Err(HashFailure::Unreadable),
        }
    }

    fn within_reason(self) -> Result<Self, HashFailure> {
        let (memory_kib, iterations) = (self.params.m_cost(), self.params.t_cost());
        let reasonable = memory_kib <= MEMORY_KIB_MAX
            && iterations <= ITERATIONS_MAX
            && self.params.p_cost() <= LANES_MAX
            && work(&self.params) <= WORK_MAX;
        if reasonable { Ok(self) } else { Err(HashFailure::Absurd { memory_kib, iterations }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params((memory_kib, passes): (u32, u32)) -> Params {
        Params::new(memory_kib, passes, 1, None).unwrap()
    }

    #[test]
    fn a_stored_hash_and_its_rest_are_the_work_of_one_of_today() {
        let today = params((19_456, 2));
        for stored in [(19_456, 1), (9_216, 4), (7_168, 5), (64, 1), (8, 64), (19_455, 1)] {
            let stored = params(stored);
            let rest = rest(&stored, &today).unwrap();
            let sum = work(&stored) + work(&rest);
            assert!(work(&today) - sum < u64::from(rest.t_cost()), "{stored:?} and {rest:?}");
            assert!(rest.m_cost() <= today.m_cost(), "{rest:?} fits the memory of today");
        }
        for enough in [(19_456, 2), (47_104, 1), (19_456, 3), (12_970, 3)] {
            assert_eq!(rest(&params(enough), &today).map(|rest| work(&rest)), None, "{enough:?}");
        }
    }
}
