//! From a built server to one that listens, and what is unsafe to serve.

use std::io::ErrorKind;
use std::sync::Arc;

use futures_util::future::BoxFuture;
#[cfg(feature = "jwt")]
use portcullis_auth::SigningKeys;
use portcullis_auth::{
    Authenticator, ProtectedResource, ProtectedResourceMetadata, PublicUrl, Scopes,
    is_same_resource,
};
use portcullis_protocol::http::{
    App, AppConfig, Authority, ConnectPage, ListenAddress, Listener, Mount, MountError, SignIn,
    TrustedProxiesError,
};

use crate::catalogue::compiled_checks::Need;
use crate::component::Deny;
use crate::error::{Error, StartError, StartErrorKind};
use crate::operation::EngineService;
use crate::route::guard::mounts as route_mounts;
use crate::route::sign_in;
use crate::server::Server;
use crate::server::certificate::{self, ServerCertificate};
use crate::server::check::{self, Place};
use crate::server::http::doubled_path;
use crate::server::listening::{Drain, Listening};
use crate::server::run_options::RunOptions;
use crate::server::startup;

/// Where the server listens unless said otherwise: loopback, by address.
const DEFAULT_LISTEN: &str = "127.0.0.1:8000";

impl Server {
    /// Binds the address and checks that serving there is safe, without serving yet.
    ///
    /// Under `portcullis check` nothing is bound, and what is returned ends as soon as it runs.
    ///
    /// # Errors
    ///
    /// As [`run_with`](Self::run_with).
    pub async fn listen(self, options: &RunOptions) -> Result<Listening, Error> {
        self.bound(options).await
    }

    /// Boxed, so that it is compiled here, and not by each program.
    fn bound(self, options: &RunOptions) -> BoxFuture<'_, Result<Listening, Error>> {
        let name = self.engine.identity.name().to_owned();
        Box::pin(async move { check::told(&name, self.bind(options).await) })
    }

    async fn bind(mut self, options: &RunOptions) -> Result<Listening, Error> {
        self.http.legacy_sse |= options.legacy_sse;
        let listen = options.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
        let address: ListenAddress = listen.parse().map_err(|reason| {
            let text = format!("cannot listen on {listen:?}: {reason}");
            StartError::new(StartErrorKind::InvalidAddress, text)
        })?;
        let given = match &options.public_url {
            Some(url) => Some(self.public_url(url)?),
            None => self.http.public_url.clone(),
        };
        let proxies = match options.trusted_proxies.as_deref() {
            Some(proxies) => proxies.parse().map_err(|error: TrustedProxiesError| {
                let text = format!("trusted_proxies: {error}");
                StartError::new(StartErrorKind::InvalidTrustedProxy, text)
            })?,
            None => self.http.proxies.clone(),
        };
        let certificate = certificate::open(options)?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        if let (Some(_), Some(url)) = (&certificate, &given)
            && !url.origin().starts_with("https://")
        {
            let text =
                format!("public_url {:?}: write https, since the server speaks TLS", url.origin());
            return Err(StartError::new(StartErrorKind::InvalidPublicUrl, text).into());
        }
        if let (Some(_), ListenAddress::Unix(_)) = (&certificate, &address) {
            let text =
                "TLS is for connections over TCP: leave out the certificate, or the Unix socket";
            return Err(StartError::new(StartErrorKind::InvalidAddress, text).into());
        }
        self.refuse_unsafe(&address, given.as_ref())?;
        self.open_store().await?;
        let checking = check::is_asked();
        let listener = match checking {
            true => None,
            false => Some(self.listener(&address, certificate).await?),
        };
        let address = listener.as_ref().map_or(Ok(address), Listener::local_address)?;
        let public_url = match given {
            Some(url) => url,
            None => self.public_url(&match &address {
                ListenAddress::Ip(address) => format!("{scheme}://{address}"),
                _ => "http://localhost".to_owned(),
            })?,
        };
        let resource = self.protected_resource(&public_url)?;
        self.warn(&public_url, resource.as_ref());
        let verifier = resource.as_ref().map(|resource| Arc::clone(&resource.verifier));
        let report = match checking {
            true => {
                let unverified = match &verifier {
                    Some(verifier) => verifier.ready().await.err(),
                    None => None,
                };
                let (url, resource) = (&public_url, resource.as_ref());
                Some(check::report(
                    &self,
                    Some(&Place { address: address.clone(), url, resource, unverified }),
                ))
            }
            false => None,
        };
        if let Some(verifier) = verifier.filter(|_| !checking) {
            let verifying = Arc::clone(&self.engine.verifying);
            verifying.with(verifier);
            // Nobody waits for it: a server that cannot verify yet says so to whoever calls.
            tokio::spawn(async move {
                if let Err(why) = verifying.check().await {
                    startup::warn_unlogged(&why);
                }
            });
        }
        let (stopping, tasks) = (self.engine.stopping.clone(), Arc::clone(&self.engine.tasks));
        let audit = Arc::clone(&self.engine.audit);
        let drain = Drain { delay: self.limits().drain_delay, time: self.limits().drain_timeout };
        let app = self.app(address.is_local(), &public_url, resource)?;
        let app = Arc::new(app.behind(proxies).below(public_url.prefix().clone()));
        report.as_deref().map(check::write).transpose()?;
        let url = public_url.resource();
        Ok(Listening { listener, app, stopping, tasks, audit, drain, url, address })
    }

    async fn listener(
        &self,
        address: &ListenAddress,
        certificate: Option<ServerCertificate>,
    ) -> Result<Listener, StartError> {
        let listener = Listener::bind(address, self.limits().clone()).await.map_err(|error| {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => {
                    ": stop the program that listens there, or choose another address \
                     (PORTCULLIS_LISTEN, or RunOptions::listen), such as 127.0.0.1:0 for any free port"
                }
                _ => "",
            };
            let text = format!("cannot listen on {address}: {error}{advice}");
            StartError::new(StartErrorKind::AddressUnavailable, text).with_source(error)
        })?;
        Ok(match certificate {
            #[cfg(feature = "tls")]
            Some(certificate) => listener.with_certificate(certificate),
            #[cfg(not(feature = "tls"))]
            Some(never) => match never {},
            None => listener,
        })
    }

    /// The URL under which clients reach the endpoint, if `origin` is where they find the server.
    fn public_url(&self, origin: &str) -> Result<PublicUrl, StartError> {
        let url = PublicUrl::parse(origin, self.http.path.clone());
        let url = url.map_err(|error| error.to_string());
        let url = url.and_then(|url| match doubled_path(&url, self.http.has_default_path) {
            Some(text) => Err(text),
            None => Ok(url),
        });
        url.map_err(|text| {
            let text = format!("public_url {origin:?}: {text}");
            StartError::new(StartErrorKind::InvalidPublicUrl, text)
        })
    }

    /// What verifies the tokens of the server at `url`, unless it serves without authentication.
    fn protected_resource(&self, url: &PublicUrl) -> Result<Option<ProtectedResource>, StartError> {
        let Some(auth) = &self.auth else { return Ok(None) };
        let resource = Arc::clone(&auth.provider).at(url).map_err(|error| {
            StartError::new(StartErrorKind::UnusableAuthProvider, error.to_string())
        })?;
        Ok(Some(resource))
    }

    /// What is never safe, whatever the components are.
    fn refuse_unsafe(
        &self,
        address: &ListenAddress,
        public_url: Option<&PublicUrl>,
    ) -> Result<(), StartError> {
        let refused = |kind, reason: String| Err(StartError::new(kind, reason));
        // A public_url, or a further host, says that others come in: through a proxy on this
        // machine for example.
        let public = public_url.filter(|url| !url.is_loopback());
        let is_ours = |host: &str| Authority::parse(host).is_some_and(|host| host.is_loopback());
        let host = self.http.hosts.iter().find(|host| !is_ours(host));
        let place = match (public, host) {
            _ if !address.is_local() => format!("listening on {address}"),
            (Some(url), _) => format!("being reached as {}", url.origin()),
            (None, Some(host)) => format!("being reached as {host}"),
            (None, None) => return Ok(()),
        };
        match &self.auth {
            Some(auth) if auth.summary.loopback_only => {
                let reason = format!(
                    "{place} would accept {} from other machines: use a real verifier, such as \
                     JwtVerifier, or listen on 127.0.0.1 without a public_url or allow_host",
                    auth.summary.description
                );
                return refused(StartErrorKind::DevelopmentVerifierExposed, reason);
            }
            None if !self.http.unauthenticated_beyond_loopback => {
                let reason = format!(
                    "{place} without authentication would serve everybody who can reach it: set \
                     .auth(…), or listen on 127.0.0.1 without a public_url or allow_host"
                );
                return refused(StartErrorKind::Unauthenticated, reason);
            }
            Some(_) | None => {}
        }
        if public_url.is_none() && !address.is_local() {
            let reason = format!(
                "listening on {address} needs a public_url, since tokens, metadata and the Host \
                 check are bound to it: set .public_url(\"https://…\") or PORTCULLIS_PUBLIC_URL"
            );
            return refused(StartErrorKind::MissingPublicUrl, reason);
        }
        Ok(())
    }

    /// What the operator should know before the first request.
    fn warn(&self, public_url: &PublicUrl, resource: Option<&ProtectedResource>) {
        let url = public_url.resource();
        startup::say(&format!("serving {url}, authentication: {}", self.authentication()));
        if self.http.legacy_sse {
            startup::warn(
                "HTTP+SSE is served as well, at `sse` beside the endpoint: it is deprecated, and few clients \
                 need it (with_legacy_sse, PORTCULLIS_TRANSPORT=sse)",
            );
        }
        #[cfg(feature = "jwt")]
        if let Some(keys) = &self.http.signing_keys {
            let (issuer, base) = (keys.issuer(), public_url.base());
            if issuer
                .strip_prefix(&*base)
                .is_none_or(|path| !path.is_empty() && !path.starts_with('/'))
            {
                startup::warn(&format!(
                    "signed tokens say that {issuer} issued them, but their keys are published at {base}: \
                     verifiers may look for them at the issuer"
                ));
            }
        }
        let Some(resource) = resource else {
            startup::warn(&self.without_authentication());
            if !public_url.is_loopback() {
                startup::warn(
                    "public_url makes this server reachable for others: clients are not authenticated",
                );
            }
            return self.say_routes();
        };
        let verifier = &resource.verifier;
        if verifier.loopback_only() {
            startup::warn(&format!("{}: never use them in production", verifier.description()));
        } else if resource.authorization_servers.is_empty() {
            startup::warn(
                "the metadata names no authorization server: clients cannot find out where to get a token",
            );
        }
        #[cfg(feature = "jwt")]
        if let Some(exchange) = &self.engine.token_exchange.exchange {
            let issuers = verifier.authorization_servers();
            if !issuers.is_empty() && !issuers.iter().any(|issuer| issuer == exchange.issuer()) {
                startup::warn(&format!(
                    "tokens of {:?} are exchanged, but tokens of {issuers:?} are accepted: issuers are \
                     compared as texts, a slash at the end included",
                    exchange.issuer()
                ));
            }
        }
        resource.warnings.iter().for_each(|warning| startup::warn(warning));
        verifier.warnings().iter().for_each(|warning| startup::warn(warning));
        let required = verifier.required_scopes();
        if required != required.offered() {
            startup::warn(
                "every token must have the scope offline_access, but clients are not told to request it: \
                 remove it, since it stands for a refresh token and protects nothing",
            );
        }
        let audiences = verifier.audiences();
        let ours = |audience: &String| is_same_resource(audience, &url);
        if !audiences.is_empty() && !audiences.iter().any(ours) {
            // RFC 8707 §2: a client asks for a token for the resource that the metadata names.
            startup::warn(&format!(
                "the verifier accepts tokens for {audiences:?}, but the metadata tells clients to request \
                 tokens for {url:?}: add that audience, or set public_url"
            ));
        }
        self.say_routes();
    }

    fn say_routes(&self) {
        let authenticated = self.auth.is_some();
        for route in &self.http.routes {
            let line = route.described(authenticated);
            match route.is_unreachable(authenticated) {
                true => startup::warn(&line),
                false => startup::say(&line),
            }
        }
        self.warn_of_components();
        startup::warn_without_log();
    }

    /// What clients can ask for: those `offered` by the server as a whole, those that its author
    /// names, and those of components that say what they lack, whose existence is not a secret.
    fn scopes_supported(&self, offered: &Scopes) -> Vec<String> {
        let shown = self.shown();
        let challenged = self.engine.catalogue.entries().filter(|entry| {
            entry.deny == Deny::Challenge && shown.shown(entry.kind).get(entry.index) == Some(&true)
        });
        let needed =
            challenged.flat_map(|entry| &entry.checks.all).filter_map(|check| match &check.need {
                Need::Scopes(scopes) => Some(scopes),
                Need::Caller | Need::Answer(_) | Need::Local(_) => None,
            });
        let all = needed
            .fold(offered.union(&self.http.scopes_supported), |all, scopes| all.union(scopes));
        all.offered().iter().map(str::to_owned).collect()
    }

    fn app(
        self,
        is_local: bool,
        public_url: &PublicUrl,
        resource: Option<ProtectedResource>,
    ) -> Result<App<EngineService>, StartError> {
        let unusable = |error: MountError| {
            StartError::new(StartErrorKind::UnusableEndpoint, error.to_string())
        };
        let named = resource.as_ref().and_then(|resource| resource.resource_name.as_deref());
        let name = named.unwrap_or(self.engine.identity.name());
        let sign_in = match &resource {
            None => SignIn::Nothing,
            Some(resource) if resource.authorization_servers.is_empty() => SignIn::Token,
            Some(_) => SignIn::Account,
        };
        let connect_page =
            self.http.connect_page.then(|| ConnectPage::new(name, public_url, sign_in));
        let mut mounts = Vec::new();
        if let Some(resource) = &resource {
            let document = ProtectedResourceMetadata {
                resource: public_url.resource(),
                authorization_servers: resource.authorization_servers.clone(),
                scopes_supported: self.scopes_supported(
                    &resource.verifier.required_scopes().union(&resource.scopes_supported),
                ),
                bearer_methods_supported: ["header"],
                resource_name: name.to_owned(),
                resource_documentation: resource.resource_documentation.clone(),
            };
            // An authorization server elsewhere would put the slash into the audience of its tokens.
            let metadata = match resource.endpoints {
                Some(_) => Mount::protected_resource_in_both_forms(public_url, &document),
                None => Mount::protected_resource(public_url, &document),
            };
            mounts.push(metadata.map_err(unusable)?);
        }
        if let Some(endpoints) = resource.as_ref().and_then(|resource| resource.endpoints.as_ref())
        {
            let unusable = |text| StartError::new(StartErrorKind::UnusableEndpoint, text);
            mounts.extend(sign_in::mounts(endpoints, &self.engine).map_err(unusable)?);
        }
        if let Some(tokens) =
            resource.as_ref().and_then(|resource| resource.upstream_tokens.clone())
        {
            self.engine.upstream_tokens.tokens.get_or_init(|| tokens);
        }
        #[cfg(feature = "jwt")]
        mounts.extend(self.http.signing_keys.clone().map(published));
        let with_slash = resource.as_ref().and_then(|resource| resource.endpoints.as_ref());
        let with_slash = with_slash.and_then(|_| public_url.metadata_path_with_slash());
        let authenticator = resource.map(|resource| {
            let (url, clock) = (public_url.metadata_url(), Arc::clone(&self.engine.clock));
            let authenticator = Authenticator::new(resource.verifier, url, clock);
            Arc::new(authenticator.with_hierarchy(Arc::clone(&self.engine.facilities.hierarchy)))
        });
        let authenticator_with_slash =
            authenticator.as_deref().zip(with_slash).map(|(authenticator, path)| {
                let url = format!("{}{path}", public_url.origin());
                Arc::new(authenticator.challenging_with(url))
            });
        if self.http.legacy_sse {
            mounts.push(Mount::event_streams(public_url.path()));
        }
        mounts.extend(route_mounts(&self.http.routes, &self.engine, authenticator.as_ref()));
        self.engine.pages.serve_at(&public_url.base());
        let config = AppConfig {
            path: public_url.path().clone(),
            guard: self.http.guard(public_url, is_local),
            authenticator,
            authenticator_with_slash,
            #[cfg(feature = "jwt")]
            keeps_access_tokens: self.engine.token_exchange.exchange.is_some(),
            #[cfg(not(feature = "jwt"))]
            keeps_access_tokens: false,
            connect_page,
            mounts,
            limits: self.engine.limits.clone(),
            clock: Arc::clone(&self.engine.clock),
            store: Arc::clone(&self.engine.store),
        };
        App::new(Arc::new(EngineService(self.engine)), config).map_err(unusable)
    }
}

/// What serves the public halves of `keys`.
#[cfg(feature = "jwt")]
fn published(keys: SigningKeys) -> Mount {
    Mount::jwk_set(Arc::new(move || {
        let keys = keys.clone();
        // Why they cannot be had is in the log already.
        Box::pin(async move { keys.jwk_set().await.ok() })
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use portcullis_auth::audit::{AuditError, AuditRecord, AuditSink};
    use portcullis_auth::danger::{StaticTokenVerifier, user};

    use super::StartErrorKind as Kind;
    use super::*;

    /// Counts how often it is flushed.
    #[derive(Debug, Default)]
    struct Flushed(AtomicUsize);

    impl AuditSink for Flushed {
        fn record(&self, _: &AuditRecord<'_>) -> Result<(), AuditError> {
            Ok(())
        }

        fn flush(&self) -> Result<(), AuditError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[tokio::test]
    async fn e11_a_server_that_ends_waits_for_its_audit_sinks() {
        let sink = Arc::new(Flushed::default());
        let server = Server::builder("test").no_auth().audit(Arc::clone(&sink)).build().unwrap();
        let listening = server.listen(&RunOptions::new().listen("127.0.0.1:0")).await.unwrap();
        listening.run_until(std::future::ready(())).await;
        assert_eq!(sink.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_option_of_http_is_not_passed_over_where_stdio_is_the_default() {
        let server = || Server::builder("test").no_auth().build().unwrap();
        let options = RunOptions::new();
        for (options, named) in [
            (options.clone().listen("127.0.0.1:0"), "PORTCULLIS_LISTEN"),
            (options.clone().public_url("http://localhost:9"), "PORTCULLIS_PUBLIC_URL"),
        ] {
            let refused = server().run_with(options).await.unwrap_err();
            let Error::Start(refused) = refused else { panic!("{refused}") };
            assert_eq!(refused.kind(), Kind::InvalidTransport);
            assert!(refused.to_string().starts_with(&format!("{named} is for HTTP")), "{refused}");
        }
    }

    #[tokio::test]
    async fn n28_development_tokens_are_not_served_to_others_under_whatever_name() {
        let tokens = || StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
        let server = || Server::builder("test").auth(tokens());
        let open = || Server::builder("test").no_auth();
        let loopback = RunOptions::new().listen("127.0.0.1:0");
        let url = |url: &str| loopback.clone().public_url(url);
        for (server, options, kind) in [
            (server().build(), url("https://mcp.example.com"), Kind::DevelopmentVerifierExposed),
            (
                server().allow_host("mcp.example.com").build(),
                loopback.clone(),
                Kind::DevelopmentVerifierExposed,
            ),
            (open().build(), url("https://mcp.example.com"), Kind::Unauthenticated),
            (open().allow_host("10.0.0.1:8000").build(), loopback.clone(), Kind::Unauthenticated),
        ] {
            let refused = server.unwrap().listen(&options).await.map(drop).unwrap_err();
            let Error::Start(refused) = refused else { panic!("{refused}") };
            assert_eq!(refused.kind(), kind, "{refused}");
        }
        for (server, options) in [
            (server().build(), url("http://localhost:9")),
            (server().allow_host("LOCALHOST:9").allow_host("[::1]").build(), loopback.clone()),
            (
                open().dangerously_serve_unauthenticated().allow_host("a.b").build(),
                loopback.clone(),
            ),
        ] {
            assert!(server.unwrap().listen(&options).await.is_ok());
        }
    }
}
