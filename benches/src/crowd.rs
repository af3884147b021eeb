//! Users who sign in at once.

use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::Result;
use crate::sign_in::{Tokens, User};

/// Some users, each with a connection and an address of their own.
#[derive(Debug)]
pub struct Crowd {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    user: User,
    /// Those of the last sign-in.
    tokens: Option<Tokens>,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    SignIn,
    Refresh,
}

impl Crowd {
    /// As many as `numbers` has, who open their connections.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub async fn open(
        numbers: std::ops::Range<usize>,
        server: SocketAddr,
        provider: SocketAddr,
    ) -> Result<Self> {
        let mut members = Vec::new();
        for number in numbers {
            let user = User::open(number, server, provider).await?;
            members.push(Member { user, tokens: None });
        }
        Ok(Self { members })
    }

    /// They open new connections: servers close those that nobody used for seconds.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub async fn come_again(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.user.come_again().await?;
        }
        Ok(())
    }

    /// Each signs in so many times, one time after the other; gives the number of all.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right.
    pub async fn sign_in(&mut self, times: usize) -> Result<usize> {
        self.all(Work::SignIn, times).await
    }

    /// Each refreshes the tokens of the last sign-in so many times; gives the number of all.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right, or when somebody has not signed in.
    pub async fn refresh(&mut self, times: usize) -> Result<usize> {
        self.all(Work::Refresh, times).await
    }

    async fn all(&mut self, work: Work, times: usize) -> Result<usize> {
        let count = self.members.len() * times;
        let mut running = JoinSet::new();
        for member in self.members.drain(..) {
            running.spawn(member.work(work, times));
        }
        while let Some(ended) = running.join_next().await {
            self.members.push(ended??);
        }
        Ok(count)
    }
}

impl Member {
    async fn work(mut self, work: Work, times: usize) -> Result<Self> {
        for _ in 0..times {
            let tokens = match work {
                Work::SignIn => self.user.sign_in().await?,
                Work::Refresh => {
                    let tokens = self.tokens.as_ref().ok_or("nobody has signed in")?;
                    self.user.refresh(tokens).await?
                }
            };
            self.tokens = Some(tokens);
        }
        Ok(self)
    }
}
