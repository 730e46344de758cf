//! Limits on how often something may be done.
//!
//! A [`Rate`] is a bucket of a size that refills evenly; [`Buckets`] keeps one
//! per key, for a bounded number of keys, and [`NetworkBuckets`] those of a client's own
//! network and of the networks around it; [`Standing`] tells a client how its
//! bucket stands; [`AddressLimits`] limits requests by the client's address.
//!
//! Everything is in this process' memory: when it dies, all buckets are full
//! again, and several processes each have their own. docs/adr/0023 says what
//! to put in front for more.

pub mod addresses;
pub mod buckets;
pub mod networks;
pub mod rate;
pub mod recent;
pub mod standing;

pub use addresses::AddressLimits;
pub use buckets::{Buckets, Level};
pub use networks::NetworkBuckets;
pub use rate::{Limit, Rate};
pub use recent::Recent;
pub use standing::Standing;
