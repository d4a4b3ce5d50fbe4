//! The contract of [`kefu_store`]: one test a sentence, over each implementation.

use std::sync::Arc;
use std::time::Duration;

use kefu_embedded::Database;
use kefu_harness::redis::RedisServer;
use kefu_messages::message_key::MessageKey;
use kefu_messages::session::SessionKey;
use kefu_messages::testing::pushed;
use kefu_store::Stores;
use kefu_store::testing::MemoryStore;
use serde_json::json;
use tempfile::TempDir;

mod claims;
mod conversations;
mod ledger;
mod ledger_fences;
mod ledger_steps;
mod media;
mod messages;
mod order;
mod probe;
mod tokens;
mod windows;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for its end.
const SHORT: Duration = Duration::from_millis(150);

/// How many compete where only one may win.
const CROWD: usize = 50;

/// An empty store, and what must live as long as it does.
struct Opened<T> {
    stores: Stores,
    _alive: T,
}

async fn redis() -> Opened<RedisServer> {
    let server = RedisServer::start().await;
    Opened { stores: kefu_store::redis::open(&server.url()).await.unwrap(), _alive: server }
}

async fn embedded() -> Opened<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    Opened { stores: kefu_embedded::store::open(&database), _alive: folder }
}

/// The store of other crates' tests.
async fn memory() -> Opened<()> {
    Opened { stores: MemoryStore::stores(&Arc::default()), _alive: () }
}

/// The key of a message of the account `wx1`.
fn key(msg_id: &str) -> MessageKey {
    MessageKey::from_text(format!("wx1|gh_1|oUser|{msg_id}"))
}

/// The session of a user with an account, or with this sub-merchant of the account.
fn session(appid: &str, openid: &str, sub_merchant: Option<u64>) -> SessionKey {
    let push = json!({ "MsgType": "text", "MsgId": 1, "BusinessId": sub_merchant });
    SessionKey::of(appid, &pushed(appid, openid, push).push)
}

/// The session of the user that most cases are about.
fn somebody() -> SessionKey {
    session("wx1", "oUser", None)
}

/// Makes a test of each case that is listed below it, on the store that the function `$open` opens.
macro_rules! contract_on {
    ($open:ident) => {
        contract_on! { $open:
            claims {
                a_free_key_is_won,
                a_taken_key_is_pending_for_others,
                an_owner_wins_its_own_hold_again,
                a_hold_that_is_won_again_lasts_anew,
                a_hold_ends_when_its_owner_does_nothing_more,
                a_released_key_is_free_at_once,
                a_release_by_somebody_else_does_nothing,
                a_late_release_leaves_the_hold_of_the_next_owner,
                a_completed_key_is_done_for_everybody,
                a_completed_key_keeps_its_answer,
                a_key_is_completed_whoever_holds_it,
                a_key_is_completed_though_nobody_claimed_it,
                a_release_after_the_completion_does_nothing,
                a_completed_key_is_free_again_after_its_time,
                keys_and_accounts_do_not_touch_each_other,
                of_many_who_claim_one_key_one_wins,
                the_claims_of_a_thread_are_those_of_all
            }
            ledger {
                a_new_message_begins_at_its_first_step,
                another_worker_is_told_how_long_the_lease_lasts,
                a_lease_ends_when_its_worker_does_nothing_more,
                a_worker_may_claim_its_own_message_again,
                a_released_message_can_be_claimed_at_once,
                renewing_makes_the_lease_longer,
                a_message_that_is_done_stays_done,
                a_done_message_is_forgotten_after_its_time,
                an_open_message_is_forgotten_after_its_time,
                each_claim_keeps_the_entry_anew,
                messages_and_accounts_do_not_touch_each_other,
                of_many_who_claim_one_message_one_gets_it
            }
            ledger_fences {
                each_claim_raises_the_fence,
                no_write_of_an_old_fence_takes_effect,
                no_write_takes_effect_when_nobody_claimed,
                no_write_takes_effect_after_the_end,
                the_fence_that_ended_a_message_may_say_so_again,
                a_fence_outlasts_its_lease_until_the_next_claim
            }
            ledger_steps {
                the_first_plan_stored_stands,
                a_plan_comes_with_the_begin_of_its_first_step_unless_one_stands,
                the_record_of_the_last_step_may_end_the_message,
                an_end_with_the_last_step_is_forgotten_after_its_time,
                a_plan_in_the_place_of_another_leaves_the_next_step_and_needs_the_fence,
                a_plan_comes_back_as_it_was_stored,
                an_empty_plan_is_a_plan,
                a_step_that_was_begun_and_not_recorded_is_ambiguous,
                an_ambiguous_step_stays_so_until_it_is_settled,
                a_step_that_was_sent_is_not_sent_again,
                a_step_taken_back_is_not_ambiguous,
                taking_back_another_step_does_nothing,
                each_call_may_be_made_twice,
                a_late_copy_of_a_call_takes_nothing_back,
                beginning_a_step_renews_the_lease,
                a_resumed_message_goes_on_where_it_was
            }
            tokens {
                an_account_without_a_token_has_none,
                a_stored_token_is_there_for_everybody,
                a_token_of_any_length_is_kept,
                a_token_ends_after_its_time,
                one_owner_at_a_time_has_the_lock,
                the_owner_of_the_lock_may_take_it_again,
                a_lock_ends_when_its_owner_does_nothing_more,
                an_unlocked_lock_is_free_at_once,
                unlocking_by_somebody_else_does_nothing,
                each_lock_raises_the_fence,
                a_late_store_of_an_older_fence_is_refused,
                a_store_may_be_made_twice,
                a_newer_token_takes_the_place_of_the_old,
                a_failed_token_is_dropped,
                a_newer_token_survives_the_failure_of_the_old,
                accounts_do_not_touch_each_other,
                of_many_who_lock_one_account_one_gets_it
            }
            media {
                unknown_content_has_no_media_id,
                a_media_id_is_kept_for_everybody,
                a_media_id_ends_after_its_time,
                a_new_media_id_takes_the_place_of_the_old,
                a_forgotten_media_id_is_gone,
                forgetting_another_media_id_does_nothing,
                accounts_and_contents_do_not_touch_each_other
            }
            windows {
                of_a_new_user_nothing_is_known,
                an_opening_is_known_to_everybody,
                a_reply_is_counted_once,
                a_late_call_does_not_charge_a_later_opening,
                a_refusal_stands_until_the_next_opening,
                a_refusal_tells_nothing_of_a_user_of_whom_nothing_is_known,
                of_a_transferred_user_nothing_is_known_for_a_time,
                a_forgotten_user_is_as_new,
                an_entry_ends_after_its_time,
                users_accounts_and_sub_merchants_do_not_touch_each_other,
                every_implementation_does_as_the_model
            }
            messages {
                a_message_is_new_once,
                another_message_under_the_same_id_is_told_apart,
                to_look_for_a_message_notes_nothing,
                nothing_is_known_until_it_is_published,
                each_progress_comes_back_as_it_was_set,
                what_is_sent_stays_sent,
                what_is_dead_may_die_again_and_is_not_queued_by_a_late_word,
                a_progress_needs_no_opening,
                a_message_is_forgotten_after_its_time,
                messages_do_not_touch_each_other,
                of_many_who_open_one_message_for_one_it_is_new
            }
            conversations {
                a_user_who_never_asked_has_no_conversation,
                exchanges_come_back_in_order_and_as_they_were,
                an_exchange_is_remembered_once,
                no_more_than_the_last_are_kept,
                each_exchange_ends_after_its_own_time,
                a_shorter_exchange_does_not_shorten_the_conversation,
                users_accounts_and_sub_merchants_do_not_touch_each_other,
                of_many_at_once_none_is_lost
            }
            order {
                of_a_user_none_of_whose_messages_left_nobody_waits,
                messages_stay_in_the_order_in_which_they_left,
                a_message_is_as_old_as_the_work_on_it_when_it_first_left,
                the_message_right_before_counts_and_no_older_one,
                a_message_that_never_ends_is_forgotten_after_its_time,
                users_and_accounts_do_not_touch_each_other,
                of_very_many_the_last_are_not_noted_and_wait_all_the_same
            }
            probe {
                a_store_that_can_be_reached_says_so
            }
        }
    };
    ($open:ident: $($area:ident { $($case:ident),+ })+) => {
        mod $open {
            $(mod $area {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let opened = crate::store::$open().await;
                    crate::store::$area::$case(&opened.stores).await;
                })+
            })+
        }
    };
}

contract_on!(redis);
contract_on!(embedded);
contract_on!(memory);
