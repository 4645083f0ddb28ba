//! `tabard.sync.v1`, served on the HTTPS listener: node agents and gateways join, follow, and ask for what only the
//! server can give. One file a method or two; who may call what is decided in [`member`].

mod approval;
mod follow;
mod home;
mod join;
mod member;
mod refused;
mod run;
mod secret;
mod svid;

pub(crate) use join::admit;
pub(crate) use refused::Allowances;

use crate::installation::Installation;
use crate::settle::Unsettled;
use axum::Router;
use std::pin::Pin;
use std::sync::Arc;
use sync::link::MESSAGE_BYTES_MAX;
use sync::proto;
use sync::proto::sync_server::{Sync as SyncApi, SyncServer};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

/// The service as routes beside the HTTP surfaces.
pub(crate) fn routes(installation: &Arc<Installation>) -> Router {
    let service = SyncServer::new(Service {
        installation: installation.clone(),
    })
    .max_decoding_message_size(MESSAGE_BYTES_MAX)
    .max_encoding_message_size(MESSAGE_BYTES_MAX);
    tonic::service::Routes::new(service).into_axum_router()
}

struct Service {
    installation: Arc<Installation>,
}

type Frames = Pin<Box<dyn Stream<Item = Result<proto::Frame, Status>> + Send>>;

#[tonic::async_trait]
impl SyncApi for Service {
    type FollowStream = Frames;

    async fn join(&self, request: Request<proto::JoinRequest>) -> Result<Response<proto::JoinReply>, Status> {
        join::join(&self.installation, request.get_ref(), member::address(&request))
            .await
            .map(Response::new)
    }
    async fn renew(
        &self,
        request: Request<proto::RenewRequest>,
    ) -> Result<Response<proto::JoinReply>, Status> {
        join::renew(&self.installation, request.get_ref(), member::address(&request))
            .await
            .map(Response::new)
    }
    async fn follow(&self, request: Request<Streaming<proto::Head>>) -> Result<Response<Frames>, Status> {
        let member = member::of(&self.installation, &request)?;
        follow::follow(self.installation.clone(), member, request.into_inner())
            .await
            .map(Response::new)
    }
    async fn open_run(
        &self,
        request: Request<proto::OpenRunRequest>,
    ) -> Result<Response<proto::OpenRunReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        run::open(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn close_run(
        &self,
        request: Request<proto::CloseRunRequest>,
    ) -> Result<Response<proto::CloseRunReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        run::close(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn identify_process(
        &self,
        request: Request<proto::IdentifyProcessRequest>,
    ) -> Result<Response<proto::IdentifyProcessReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        run::identify(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn record_refusal(
        &self,
        request: Request<proto::RecordRefusalRequest>,
    ) -> Result<Response<proto::RecordRefusalReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        run::record_refusal(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn count_refusals(
        &self,
        request: Request<proto::CountRefusalsRequest>,
    ) -> Result<Response<proto::CountRefusalsReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        run::count_refusals(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn issue_x509_svid(
        &self,
        request: Request<proto::IssueX509SvidRequest>,
    ) -> Result<Response<proto::IssueX509SvidReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        svid::x509(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn issue_jwt_svid(
        &self,
        request: Request<proto::IssueJwtSvidRequest>,
    ) -> Result<Response<proto::IssueJwtSvidReply>, Status> {
        let node = member::node(&self.installation, &request).await?;
        svid::jwt(&self.installation, &node, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn upstream_secret(
        &self,
        request: Request<proto::UpstreamSecretRequest>,
    ) -> Result<Response<proto::UpstreamSecretReply>, Status> {
        let gateway = member::gateway(&self.installation, &request).await?;
        secret::upstream(&self.installation, &gateway, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn ask_approval(
        &self,
        request: Request<proto::AskApprovalRequest>,
    ) -> Result<Response<proto::AskApprovalReply>, Status> {
        let gateway = member::gateway(&self.installation, &request).await?;
        approval::ask(&self.installation, &gateway, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn spend_approval(
        &self,
        request: Request<proto::SpendApprovalRequest>,
    ) -> Result<Response<proto::SpendApprovalReply>, Status> {
        let gateway = member::gateway(&self.installation, &request).await?;
        approval::spend(&self.installation, &gateway, request.get_ref())
            .await
            .map(Response::new)
    }
    async fn claim_home(
        &self,
        request: Request<proto::ClaimHomeRequest>,
    ) -> Result<Response<proto::ClaimHomeReply>, Status> {
        let gateway = member::gateway(&self.installation, &request).await?;
        home::claim(&self.installation, &gateway, request.get_ref())
            .await
            .map(Response::new)
    }
}

/// A refusal goes into the reply; what could not be done is a status.
fn refusal(unsettled: Unsettled) -> Result<proto::Refused, Status> {
    match unsettled {
        Unsettled::Refused(refusal) => Ok(proto::Refused {
            code: refusal.code().to_owned(),
            message: refusal.sentence().to_owned(),
            decision_id: refusal.decision().to_string(),
        }),
        Unsettled::Contended | Unsettled::Unrecorded(_) | Unsettled::Keys(_) => {
            tracing::error!(error = %unsettled, "a member could not be served");
            Err(Status::unavailable("the server cannot record at the moment"))
        }
    }
}
