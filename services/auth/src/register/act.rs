//! What a request does: asks the key, hashes, commits.

use onboard_contract::{TraceParent, UserId};
use onboard_http::{Kind, Problem};
use onboard_mongo::StoreError;

use super::answer::Outcome;
use super::{Mode, Request};
use crate::email::candidates;
use crate::hash::Purpose;
use crate::idempotency::Attempt;
use crate::login::record_failure;
use crate::password::Password;
use crate::routes::App;
use crate::store::{Committed, KeyRecord, NewRegistration, RegisterError, Registered};

impl Request {
    /// A repeat is answered before the password is hashed; of two at once that
    /// both miss the key, the later one meets it in its transaction.
    pub(super) async fn act(
        &self,
        app: &App,
        password: Password,
        traceparent: TraceParent,
    ) -> Result<Outcome, Problem> {
        if let Some(key) = &self.key {
            let found = app.registrations.find_key(&key.new).await;
            if let Some(record) = found.map_err(|error| not_confirmed(app, &error))? {
                return self.repeat(app, key, &record).await;
            }
        }
        let password_hash = app.hasher.hash(password, Purpose::Registration).await;
        let password_hash = password_hash.map_err(|error| App::hash_failed(&error))?;
        let new = NewRegistration {
            email: self.email.given().to_owned(),
            email_canonical: self.email.canonical().to_owned(),
            email_released: self.email.released().map(str::to_owned),
            password_hash,
            traceparent,
        };
        let key = self.key.as_ref();
        match app.registrations.register(new, key.map(|key| &key.new)).await {
            Ok(Committed::Now(registered)) => Ok(created(app, registered)),
            Ok(Committed::Before(record)) => match key {
                Some(key) => self.repeat(app, key, &record).await,
                // Without a key there is nothing before.
                None => Err(Problem::new(Kind::Internal)),
            },
            Err(RegisterError::EmailTaken) => self.taken(app, key).await,
            Err(RegisterError::Store(error)) => Err(not_confirmed(app, &error)),
        }
    }

    /// What became of the earlier request, if this is the same one again.
    ///
    /// The answer tells whether the password is that of the earlier request. So the
    /// request is admitted like a login, and one with another address or password counts
    /// as a failed login and is recorded as one.
    async fn repeat(
        &self,
        app: &App,
        key: &Attempt,
        record: &KeyRecord,
    ) -> Result<Outcome, Problem> {
        app.store_answered();
        let guess = app.throttle.admit_login(self.email.canonical(), self.client, None).await?;
        if !key.is_repeat_of(record) {
            guess.failed();
            let user_id = self.account(app).await;
            record_failure(app, user_id, self.client).await;
            let network = app.witnesses.network(self.client);
            let user_id = user_id.map(tracing::field::display);
            tracing::info!(user_id, network, "an idempotency key came with another request");
            return Err(Problem::new(Kind::IdempotencyKeyReused));
        }
        guess.costs_nothing();
        let Some(registered) = record.registered else {
            return Ok(Outcome::TakenBefore);
        };
        tracing::info!(
            registration_id = %registered.event_id,
            user_id = %registered.user_id,
            "a registration was sent again"
        );
        Ok(Outcome::Repeated(registered))
    }

    /// Whose address it is. Where nobody can look, the failure is recorded without it.
    async fn account(&self, app: &App) -> Option<UserId> {
        let found = app.users.find_by_forms(&candidates(self.email.given())).await;
        found.inspect_err(|error| drop(app.store_failed(error))).ok()?.map(|user| user.user_id)
    }

    /// Silence has to last: the key's next request is answered like the repeat of
    /// one that was accepted.
    async fn taken(&self, app: &App, key: Option<&Attempt>) -> Result<Outcome, Problem> {
        app.store_answered();
        tracing::info!("a registration met a taken address");
        match (app.mode, key) {
            (Mode::Explicit, _) | (Mode::Silent { .. }, None) => Ok(Outcome::Taken),
            (Mode::Silent { .. }, Some(key)) => {
                let kept = app.registrations.keep_refusal(&key.new).await;
                match kept.map_err(|error| not_confirmed(app, &error))? {
                    None => Ok(Outcome::Taken),
                    Some(record) => self.repeat(app, key, &record).await,
                }
            }
        }
    }
}

fn created(app: &App, registered: Registered) -> Outcome {
    app.store_answered();
    tracing::info!(
        registration_id = %registered.event_id,
        user_id = %registered.user_id,
        "registered"
    );
    Outcome::Created(registered)
}

fn not_confirmed(app: &App, error: &StoreError) -> Problem {
    let problem = app.store_failed(error);
    if !error.is_retryable() {
        return problem;
    }
    match app.mode {
        Mode::Explicit => problem.detail(
            "The registration could not be confirmed. Send it again after the time in \
             Retry-After, with the same Idempotency-Key if it had one; without one, if the \
             address is taken by then, it had succeeded.",
        ),
        Mode::Silent { .. } => problem.detail(
            "The registration could not be confirmed. Send it again after the time in \
             Retry-After.",
        ),
    }
}
