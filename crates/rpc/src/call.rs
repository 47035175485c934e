//! What all methods have in common: how they begin and end.

use kernel::Failure;
use kernel::failure::INTERNAL;
use tonic::{Request, Response, Status};
use web_kit::Meta;

use crate::status;

/// Largest message that is read; ours have some hundred bytes.
pub(crate) const MESSAGE_BYTES: usize = 64 * 1024;

/// What a method has at hand: its message, and what is known about the call.
pub(crate) struct Call<T> {
    pub(crate) message: T,
    pub(crate) meta: Meta,
}

impl<T> Call<T> {
    pub(crate) fn of(request: Request<T>) -> Result<Self, Status> {
        let Some(meta) = request.extensions().get::<Meta>().cloned() else {
            let failure = INTERNAL.fail().because("the service has no gate in front");
            tracing::error!(error = %failure, "call failed");
            return Err(Status::internal(INTERNAL.en));
        };
        let message = request.into_inner();
        Ok(Call { message, meta })
    }
}

/// Ends a call: its answer, or the status of its failure.
pub(crate) fn end<T>(result: Result<T, Failure>, meta: &Meta) -> Result<Response<T>, Status> {
    match result {
        Ok(answer) => Ok(Response::new(answer)),
        Err(failure) => Err(status::answer(&failure, meta)),
    }
}
