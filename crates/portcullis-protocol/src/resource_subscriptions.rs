//! The resources whose updates one session, or one subscription, is told of.

#[cfg(feature = "http")]
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// How long the URIs of subscriptions may be on average, in bytes.
const MEAN_URI_BYTES: usize = 256;

/// The resources whose updates one session, or one subscription of the stateless version, is told
/// of. It ends with what it belongs to.
///
/// Each is known by a canonical form of its URI, which its service chooses, and told of under the
/// URI that its client wrote.
pub struct ResourceSubscriptions {
    watched: Mutex<Watched>,
    wake: Notify,
    most: usize,
    claimed: AtomicBool,
}

#[derive(Default)]
struct Watched {
    /// By canonical form.
    resources: HashMap<String, Resource>,
    /// Of the URIs, in both forms.
    bytes: usize,
}

struct Resource {
    uri: String,
    is_updated: bool,
}

/// There is no room for a further subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySubscriptions;

impl ResourceSubscriptions {
    /// No subscriptions yet; there may be so many, and their URIs may take 256 bytes each on
    /// average.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let (watched, wake, claimed) = (Mutex::default(), Notify::new(), AtomicBool::new(false));
        Self { watched, wake, most, claimed }
    }

    /// Whether a list of URIs is no longer than there is room for.
    pub(crate) fn has_room_for(most: usize, uris: &[String]) -> bool {
        let bytes: usize = uris.iter().map(String::len).sum();
        uris.len() <= most && bytes <= most.saturating_mul(MEAN_URI_BYTES)
    }

    /// Whether this was not asked before: who watches for updates has to know it once.
    pub fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::Relaxed)
    }

    /// Adds the resource with this canonical form, as its client writes its URI.
    ///
    /// # Errors
    ///
    /// When there are too many, or their URIs are too long.
    pub fn add(&self, canonical: &str, uri: &str) -> Result<(), TooManySubscriptions> {
        self.watched(|watched| {
            watched.remove(canonical);
            let bytes = watched.bytes + canonical.len() + uri.len();
            let room = self.most.saturating_mul(2 * MEAN_URI_BYTES);
            if watched.resources.len() >= self.most || bytes > room {
                return Err(TooManySubscriptions);
            }
            watched.bytes = bytes;
            let resource = Resource { uri: uri.to_owned(), is_updated: false };
            watched.resources.insert(canonical.to_owned(), resource);
            Ok(())
        })
    }

    /// Takes a resource away, if it is there.
    pub fn remove(&self, canonical: &str) {
        self.watched(|watched| watched.remove(canonical));
    }

    /// The URIs that the client wrote, by their canonical forms.
    #[cfg(feature = "http")]
    pub(crate) fn listed(&self) -> BTreeMap<String, String> {
        self.watched(|watched| {
            let resources = watched.resources.iter();
            resources
                .map(|(canonical, resource)| (canonical.clone(), resource.uri.clone()))
                .collect()
        })
    }

    /// Has these from now on, as far as there is room, and no others. What was updated stays so.
    #[cfg(feature = "http")]
    pub(crate) fn replace(&self, listed: &BTreeMap<String, String>) {
        let before = self.listed();
        before.keys().filter(|canonical| !listed.contains_key(*canonical)).for_each(|canonical| {
            self.remove(canonical);
        });
        for (canonical, uri) in
            listed.iter().filter(|(canonical, uri)| before.get(*canonical) != Some(*uri))
        {
            // Another release may have had more room.
            let _ = self.add(canonical, uri);
        }
    }

    /// Notes that a resource was updated, if it is one of these. Several updates are one until it is
    /// told of.
    pub fn note(&self, canonical: &str) {
        let is_new = self.watched(|watched| match watched.resources.get_mut(canonical) {
            Some(resource) => !std::mem::replace(&mut resource.is_updated, true),
            None => false,
        });
        if is_new {
            self.wake.notify_one();
        }
    }

    /// The next resource that was updated, as its client writes its URI.
    pub async fn updated(&self) -> String {
        loop {
            let woken = self.wake.notified();
            let next = self.watched(|watched| {
                let updated = |resource: &&mut Resource| resource.is_updated;
                let resource = watched.resources.values_mut().find(updated)?;
                resource.is_updated = false;
                Some(resource.uri.clone())
            });
            if let Some(uri) = next {
                return uri;
            }
            woken.await;
        }
    }

    /// Nothing panics while this is locked.
    fn watched<R>(&self, look: impl FnOnce(&mut Watched) -> R) -> R {
        look(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watched {
    fn remove(&mut self, canonical: &str) {
        if let Some(resource) = self.resources.remove(canonical) {
            self.bytes = self.bytes.saturating_sub(canonical.len() + resource.uri.len());
        }
    }
}

impl fmt::Debug for ResourceSubscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceSubscriptions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn updated(subscriptions: &ResourceSubscriptions) -> Option<String> {
        subscriptions.updated().now_or_never()
    }

    #[tokio::test]
    async fn several_updates_of_a_resource_are_one_and_of_others_there_is_none() {
        let subscriptions = ResourceSubscriptions::new(2);
        subscriptions.add("x://a", "x://%61").unwrap();
        subscriptions.add("x://b", "x://b").unwrap();
        assert_eq!(updated(&subscriptions), None);
        for canonical in ["x://a", "x://a", "x://c"] {
            subscriptions.note(canonical);
        }
        assert_eq!(updated(&subscriptions).as_deref(), Some("x://%61"));
        assert_eq!(updated(&subscriptions), None);
        subscriptions.note("x://a");
        subscriptions.note("x://b");
        let mut both = [updated(&subscriptions).unwrap(), updated(&subscriptions).unwrap()];
        both.sort();
        assert_eq!(both, ["x://%61", "x://b"]);
        subscriptions.note("x://a");
        subscriptions.remove("x://a");
        assert_eq!(updated(&subscriptions), None);
        // An update wakes whoever waits for it.
        let (told, ()) = tokio::join!(subscriptions.updated(), async {
            tokio::task::yield_now().await;
            subscriptions.note("x://b");
        });
        assert_eq!(told, "x://b");
    }

    #[test]
    fn n16_subscriptions_are_bounded_in_number_and_in_bytes() {
        let subscriptions = ResourceSubscriptions::new(2);
        subscriptions.add("x://a", "x://a").unwrap();
        subscriptions.add("x://b", "x://b").unwrap();
        assert_eq!(subscriptions.add("x://c", "x://c"), Err(TooManySubscriptions));
        subscriptions.add("x://b", "x://%62").unwrap();
        subscriptions.remove("x://a");
        subscriptions.add("x://c", "x://c").unwrap();
        let long = "x".repeat(1_000);
        subscriptions.remove("x://b");
        assert_eq!(subscriptions.add(&long, &long), Err(TooManySubscriptions));
        let short = "x".repeat(500);
        for _ in 0..3 {
            subscriptions.add(&short, &short).unwrap();
            subscriptions.remove(&short);
        }
        assert!(ResourceSubscriptions::has_room_for(2, std::slice::from_ref(&short)));
        assert!(!ResourceSubscriptions::has_room_for(2, &[short.clone(), short]));
        assert!(!ResourceSubscriptions::has_room_for(1, &["a".into(), "b".into()]));
    }
}
