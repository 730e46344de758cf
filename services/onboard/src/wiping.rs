//! Memory that is freed is wiped, whoever has freed it.
//!
//! A password passes the body of a request, a parser, its prepared form and a hash; a token and a
//! secret pass as many hands, and some of them are libraries'. One allocator under all of them
//! leaves no copy behind in freed memory. What is still in use is not freed: `docs/security.md`
//! says where that is.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);
