//! The rules of the classic protocol, on a clock that stands still.

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{JoinGroupResponse, LeaveGroupRequest, leave_group_request, leave_group_response};

use crate::group::effects::Pending;
use crate::group::testing::{
    Bench, answer, client, join_request, parked, protocol, static_join_request, subscription, sync_request,
};

fn bench() -> Bench {
    Bench::with(|config| config.initial_rebalance_delay_ms = 0)
}

/// Joins `count` dynamic members of version 3 and returns them in the order of joining, leader first.
fn stable_group(bench: &mut Bench, count: usize) -> Vec<String> {
    let mut members = vec![answer(&mut bench.join(join_request(""), 3)).unwrap().member_id];
    for _ in 1..count {
        let mut joining = bench.join(join_request(""), 3);
        let mut rejoining: Vec<_> =
            members.iter().map(|member| bench.join(join_request(member), 3)).collect::<Vec<_>>();
        members.push(answer(&mut joining).unwrap().member_id);
        for pending in &mut rejoining {
            answer(pending).unwrap();
        }
    }
    let generation = i32::try_from(count).unwrap();
    let mut followers: Vec<_> =
        members[1..].iter().map(|member| bench.sync(sync_request(member, generation, &[]))).collect();
    assert!(followers.iter_mut().all(parked));
    let assignments: Vec<(&str, &'static [u8])> =
        members.iter().map(|member| (member.as_str(), b"partitions".as_slice())).collect();
    answer(&mut bench.sync(sync_request(&members[0], generation, &assignments))).unwrap();
    for follower in &mut followers {
        assert_eq!(answer(follower).unwrap().assignment, Bytes::from_static(b"partitions"));
    }
    members
}

fn leave(bench: &mut Bench, members: &[(&str, Option<&str>)]) -> Vec<leave_group_response::Member> {
    let request = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: members
            .iter()
            .map(|(member_id, instance_id)| leave_group_request::Member {
                member_id: (*member_id).to_owned(),
                group_instance_id: instance_id.map(str::to_owned),
                ..Default::default()
            })
            .collect(),
        ..LeaveGroupRequest::default()
    };
    bench.turn(|shard, now, effects| shard.leave(request, now, effects)).unwrap()
}

fn state(bench: &Bench) -> String {
    bench.shard.describe_classic("g").map(|group| group.group_state).unwrap_or_default()
}

fn refused(mut pending: Pending<JoinGroupResponse>) -> ErrorCode {
    answer(&mut pending).unwrap_err()
}

#[test]
fn the_first_join_waits_for_the_initial_delay_and_longer_while_members_arrive() {
    let mut bench = Bench::new();
    let mut first = bench.join(join_request(""), 3);
    bench.advance(2_000);
    let mut second = bench.join(join_request(""), 3);
    bench.advance(2_999);
    assert!(parked(&mut first) && parked(&mut second));
    bench.advance(1_001);
    let (first, second) = (answer(&mut first).unwrap(), answer(&mut second).unwrap());
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(second.leader, first.member_id);
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(first.protocol_name.as_deref(), Some("range"));
}

#[test]
fn the_initial_delay_ends_at_the_rebalance_timeout_however_many_members_arrive() {
    let mut bench = Bench::new();
    let mut first = bench.join(join_request(""), 3);
    for _ in 0..29 {
        bench.advance(1_000);
        assert!(parked(&mut first));
        let _late = bench.join(join_request(""), 3);
    }
    bench.advance(1_000);
    assert_eq!(answer(&mut first).unwrap().members.len(), 30);
}

#[test]
fn a_dynamic_member_of_version_4_gets_an_id_first() {
    let mut bench = bench();
    let required = answer(&mut bench.join(join_request(""), 4)).unwrap();
    assert_eq!(required.error_code, ErrorCode::MemberIdRequired.code());
    assert!(required.member_id.starts_with("app-"));
    assert_eq!(state(&bench), "Empty");
    let joined = answer(&mut bench.join(join_request(&required.member_id), 4)).unwrap();
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.member_id, required.member_id);
}

#[test]
fn an_id_that_is_not_used_within_the_session_timeout_is_forgotten() {
    let mut bench = bench();
    let required = answer(&mut bench.join(join_request(""), 4)).unwrap();
    bench.advance(10_000);
    assert_eq!(refused(bench.join(join_request(&required.member_id), 4)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_handed_out() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 1);
    let required = answer(&mut bench.join(join_request(""), 4)).unwrap();
    let mut rejoined = bench.join(join_request(&members[0]), 4);
    assert!(parked(&mut rejoined));
    let mut joined = bench.join(join_request(&required.member_id), 4);
    assert_eq!(answer(&mut rejoined).unwrap().members.len(), 2);
    assert_eq!(answer(&mut joined).unwrap().generation_id, 2);
}

#[test]
fn requests_with_impossible_values_are_refused() {
    let mut bench = bench();
    let mut request = join_request("");
    request.group_id.clear();
    assert_eq!(refused(bench.join(request, 3)), ErrorCode::InvalidGroupId);
    for session_timeout_ms in [5_999, 1_800_001] {
        let request = milena_protocol::messages::JoinGroupRequest { session_timeout_ms, ..join_request("") };
        assert_eq!(refused(bench.join(request, 3)), ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(refused(bench.join(join_request("ghost"), 3)), ErrorCode::UnknownMemberId);
    let mut request = join_request("");
    request.protocols.clear();
    assert_eq!(refused(bench.join(request, 3)), ErrorCode::InconsistentGroupProtocol);
    assert!(bench.shard.list().is_empty(), "refused joins leave no group behind");
}

#[test]
fn a_member_of_another_protocol_type_or_without_a_common_protocol_is_refused() {
    let mut bench = bench();
    stable_group(&mut bench, 1);
    let mut request = join_request("");
    request.protocol_type = "connect".to_owned();
    assert_eq!(refused(bench.join(request, 3)), ErrorCode::InconsistentGroupProtocol);
    let mut request = join_request("");
    request.protocols = vec![protocol("sticky", Bytes::new())];
    assert_eq!(refused(bench.join(request, 3)), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(state(&bench), "Stable");
}

#[test]
fn the_protocol_is_the_one_most_members_prefer_among_those_that_all_support() {
    let mut bench = Bench::new();
    let request = |names: &[&str]| {
        let mut request = join_request("");
        request.protocols = names.iter().map(|name| protocol(name, Bytes::from(format!("{name}!")))).collect();
        request
    };
    let mut first = bench.join(request(&["range", "sticky", "roundrobin"]), 3);
    let _second = bench.join(request(&["lonely", "sticky", "range"]), 3);
    let _third = bench.join(request(&["sticky", "range"]), 3);
    bench.advance(10_000);
    let first = answer(&mut first).unwrap();
    assert_eq!(first.protocol_name.as_deref(), Some("sticky"));
    assert!(first.members.iter().all(|member| member.metadata == "sticky!"));
}

#[test]
fn followers_are_parked_until_the_leader_has_synced() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 3);
    assert_eq!(state(&bench), "Stable");
    let described = bench.shard.describe_classic("g").unwrap();
    assert_eq!(described.protocol_data, "range");
    assert!(described.members.iter().all(|member| member.client_host == "/127.0.0.1"
        && member.client_id == client().client_id
        && member.member_assignment == "partitions"
        && member.member_metadata == subscription(&["orders"])));
    let again = answer(&mut bench.sync(sync_request(&members[1], 3, &[]))).unwrap();
    assert_eq!(again.assignment, "partitions");
}

#[test]
fn a_member_the_leader_forgot_gets_an_empty_assignment() {
    let mut bench = bench();
    let leader = answer(&mut bench.join(join_request(""), 3)).unwrap().member_id;
    let synced = answer(&mut bench.sync(sync_request(&leader, 1, &[]))).unwrap();
    assert_eq!((synced.error_code, synced.assignment), (0, Bytes::new()));
}

#[test]
fn sync_of_another_generation_member_or_protocol_is_refused() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 1);
    let sync = |bench: &mut Bench, member: &str, generation| {
        answer(&mut bench.sync(sync_request(member, generation, &[]))).unwrap_err()
    };
    assert_eq!(sync(&mut bench, &members[0], 7), ErrorCode::IllegalGeneration);
    assert_eq!(sync(&mut bench, "ghost", 1), ErrorCode::UnknownMemberId);
    let mut request = sync_request(&members[0], 1, &[]);
    request.protocol_type = Some("connect".to_owned());
    assert_eq!(answer(&mut bench.sync(request)).unwrap_err(), ErrorCode::InconsistentGroupProtocol);
    let mut request = sync_request(&members[0], 1, &[]);
    request.protocol_name = Some("sticky".to_owned());
    assert_eq!(answer(&mut bench.sync(request)).unwrap_err(), ErrorCode::InconsistentGroupProtocol);
    let _joining = bench.join(join_request(""), 3);
    assert_eq!(sync(&mut bench, &members[0], 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_join_during_completion_sends_parked_syncs_back_to_join() {
    let mut bench = bench();
    let mut members = Vec::new();
    let leader = answer(&mut bench.join(join_request(""), 3)).unwrap().member_id;
    let mut joining = bench.join(join_request(""), 3);
    let mut rejoining = bench.join(join_request(&leader), 3);
    members.push(answer(&mut rejoining).unwrap().member_id);
    members.push(answer(&mut joining).unwrap().member_id);
    assert_eq!(state(&bench), "CompletingRebalance");
    let mut follower = bench.sync(sync_request(&members[1], 2, &[]));
    let _third = bench.join(join_request(""), 3);
    assert_eq!(answer(&mut follower).unwrap_err(), ErrorCode::RebalanceInProgress);
    assert_eq!(state(&bench), "PreparingRebalance");
}

#[test]
fn heartbeats_tell_members_what_to_do() {
    let mut bench = bench();
    let leader = answer(&mut bench.join(join_request(""), 3)).unwrap().member_id;
    assert_eq!(bench.heartbeat(&leader, 1), Ok(()), "completing a rebalance is no reason to join again");
    answer(&mut bench.sync(sync_request(&leader, 1, &[]))).unwrap();
    assert_eq!(bench.heartbeat(&leader, 1), Ok(()));
    assert_eq!(bench.heartbeat(&leader, 0), Err(ErrorCode::IllegalGeneration));
    assert_eq!(bench.heartbeat("ghost", 1), Err(ErrorCode::UnknownMemberId));
    let _joining = bench.join(join_request(""), 3);
    assert_eq!(bench.heartbeat(&leader, 1), Err(ErrorCode::RebalanceInProgress));
    bench.advance(9_999);
    assert_eq!(bench.heartbeat(&leader, 1), Err(ErrorCode::RebalanceInProgress), "its session was refreshed");
    bench.advance(9_999);
    assert_eq!(bench.heartbeat(&leader, 1), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_silent_member_is_removed_after_its_session_timeout() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 2);
    bench.advance(6_000);
    assert_eq!(bench.heartbeat(&members[0], 2), Ok(()));
    bench.advance(4_001);
    assert_eq!(bench.heartbeat(&members[0], 2), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(bench.heartbeat(&members[1], 2), Err(ErrorCode::UnknownMemberId));
    let rejoined = answer(&mut bench.join(join_request(&members[0]), 3)).unwrap();
    assert_eq!((rejoined.generation_id, rejoined.members.len()), (3, 1));
}

#[test]
fn sessions_do_not_mind_a_wall_clock_that_jumps() {
    const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
    for jump_ms in [-YEAR_MS, YEAR_MS] {
        let mut bench = bench();
        let members = stable_group(&mut bench, 2);
        bench.jump_wall_clock(jump_ms);
        bench.advance(6_000);
        assert_eq!(bench.heartbeat(&members[0], 2), Ok(()));
        assert_eq!(bench.heartbeat(&members[1], 2), Ok(()));
        bench.advance(9_000);
        assert_eq!(bench.heartbeat(&members[0], 2), Ok(()));
        bench.jump_wall_clock(-jump_ms);
        bench.advance(1_001);
        assert_eq!(bench.heartbeat(&members[1], 2), Err(ErrorCode::UnknownMemberId), "ten seconds are ten seconds");
    }
}

#[test]
fn members_that_do_not_rejoin_are_dropped_at_the_rebalance_timeout() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 2);
    let mut newcomer = bench.join(join_request(""), 3);
    let mut rejoined = bench.join(join_request(&members[1]), 3);
    for _ in 0..3 {
        bench.advance(9_000);
        assert_eq!(bench.heartbeat(&members[0], 2), Err(ErrorCode::RebalanceInProgress));
        assert!(parked(&mut newcomer));
    }
    bench.advance(3_000);
    let rejoined = answer(&mut rejoined).unwrap();
    assert_eq!(rejoined.generation_id, 3);
    assert_eq!(rejoined.leader, answer(&mut newcomer).unwrap().leader);
    assert_ne!(rejoined.leader, members[0], "the leader did not come back, so another one leads");
    assert_eq!(bench.heartbeat(&members[0], 2), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn members_that_never_sync_are_dropped_after_the_rebalance_timeout() {
    let mut bench = bench();
    let leader = answer(&mut bench.join(join_request(""), 3)).unwrap().member_id;
    let mut joining = bench.join(join_request(""), 3);
    answer(&mut bench.join(join_request(&leader), 3)).unwrap();
    let follower = answer(&mut joining).unwrap().member_id;
    answer(&mut bench.sync(sync_request(&leader, 2, &[]))).unwrap();
    for _ in 0..3 {
        bench.advance(9_000);
        assert_eq!(bench.heartbeat(&leader, 2), Ok(()));
        assert_eq!(bench.heartbeat(&follower, 2), Ok(()));
    }
    bench.advance(3_000);
    assert_eq!(bench.heartbeat(&follower, 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.heartbeat(&leader, 2), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_follower_that_rejoins_unchanged_gets_the_current_generation_without_a_rebalance() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 2);
    let rejoined = answer(&mut bench.join(join_request(&members[1]), 3)).unwrap();
    assert_eq!((rejoined.generation_id, rejoined.members.len()), (2, 0));
    assert_eq!(rejoined.leader, members[0]);
    assert_eq!(state(&bench), "Stable");
}

#[test]
fn a_leader_that_rejoins_or_a_changed_subscription_starts_a_rebalance() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 2);
    let mut leader = bench.join(join_request(&members[0]), 3);
    assert!(parked(&mut leader));
    let mut changed = join_request(&members[1]);
    changed.protocols = vec![protocol("range", subscription(&["orders", "refunds"]))];
    assert_eq!(answer(&mut bench.join(changed.clone(), 3)).unwrap().generation_id, 3);
    let leader = answer(&mut leader).unwrap();
    answer(&mut bench.sync(sync_request(&leader.member_id, 3, &[]))).unwrap();
    changed.protocols = vec![protocol("range", subscription(&["refunds"]))];
    let mut again = bench.join(changed, 3);
    assert!(parked(&mut again));
    assert_eq!(state(&bench), "PreparingRebalance");
}

#[test]
fn a_join_repeated_while_completing_gets_the_same_answer() {
    let mut bench = bench();
    let first = answer(&mut bench.join(join_request(""), 3)).unwrap();
    let second = answer(&mut bench.join(join_request(&first.member_id), 3)).unwrap();
    assert_eq!(first, second);
    assert_eq!(second.members.len(), 1);
}

#[test]
fn leaving_members_get_a_code_each_and_one_rebalance_follows() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 3);
    let left = leave(&mut bench, &[(&members[1], None), ("ghost", None), (&members[2], None)]);
    let codes: Vec<i16> = left.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::UnknownMemberId.code(), 0]);
    assert_eq!(bench.heartbeat(&members[0], 3), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(answer(&mut bench.join(join_request(&members[0]), 3)).unwrap().generation_id, 4);
}

#[test]
fn a_group_whose_last_member_leaves_is_empty_and_keeps_its_generation_over_a_restart() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 1);
    leave(&mut bench, &[(&members[0], None)]);
    assert_eq!(state(&bench), "Empty");
    bench.restart();
    let described = bench.shard.describe_classic("g").unwrap();
    assert_eq!((described.group_state.as_str(), described.protocol_type.as_str()), ("Empty", "consumer"));
    assert_eq!(answer(&mut bench.join(join_request(""), 3)).unwrap().generation_id, 3);
}

#[test]
fn an_id_that_was_only_handed_out_can_leave() {
    let mut bench = bench();
    stable_group(&mut bench, 1);
    let required = answer(&mut bench.join(join_request(""), 4)).unwrap();
    let left = leave(&mut bench, &[(&required.member_id, None)]);
    assert_eq!(left[0].error_code, 0);
    assert_eq!(state(&bench), "Stable");
    assert_eq!(refused(bench.join(join_request(&required.member_id), 4)), ErrorCode::UnknownMemberId);
}

#[test]
fn leaving_an_unknown_group_is_an_unknown_member() {
    let mut bench = bench();
    assert_eq!(leave(&mut bench, &[("ghost", None)])[0].error_code, ErrorCode::UnknownMemberId.code());
}

#[test]
fn a_full_group_refuses_the_next_member() {
    let mut bench = Bench::with(|config| {
        config.initial_rebalance_delay_ms = 0;
        config.max_size = 2;
    });
    let members = stable_group(&mut bench, 2);
    assert_eq!(refused(bench.join(join_request(""), 3)), ErrorCode::GroupMaxSizeReached);
    assert_eq!(state(&bench), "Stable");
    assert_eq!(bench.heartbeat(&members[1], 2), Ok(()));
}

/// A stable group of two static members `a` (leader) and `b`.
fn static_group(bench: &mut Bench) -> (String, String) {
    let a = answer(&mut bench.join(static_join_request("a", ""), 5)).unwrap();
    assert_eq!(a.error_code, 0, "static members need no id first");
    assert!(a.member_id.starts_with("a-"));
    let mut b = bench.join(static_join_request("b", ""), 5);
    let a = answer(&mut bench.join(static_join_request("a", &a.member_id), 5)).unwrap().member_id;
    let b = answer(&mut b).unwrap().member_id;
    let mut follower = bench.sync(sync_request(&b, 2, &[]));
    answer(&mut bench.sync(sync_request(&a, 2, &[(&a, b"A"), (&b, b"B")]))).unwrap();
    answer(&mut follower).unwrap();
    (a, b)
}

#[test]
fn a_static_member_that_restarts_keeps_its_assignment_without_a_rebalance() {
    let mut bench = bench();
    let (a, b) = static_group(&mut bench);
    let back = answer(&mut bench.join(static_join_request("b", ""), 5)).unwrap();
    assert_eq!((back.error_code, back.generation_id, back.leader.as_str()), (0, 2, a.as_str()));
    assert_ne!(back.member_id, b);
    assert_eq!(answer(&mut bench.sync(sync_request(&back.member_id, 2, &[]))).unwrap().assignment, "B");
    assert_eq!(bench.heartbeat(&a, 2), Ok(()), "nobody else notices");
    let mut fenced = sync_request(&b, 2, &[]);
    fenced.group_instance_id = Some("b".to_owned());
    assert_eq!(answer(&mut bench.sync(fenced)).unwrap_err(), ErrorCode::FencedInstanceId);
    assert_eq!(refused(bench.join(static_join_request("b", &b), 5)), ErrorCode::FencedInstanceId);
    bench.restart();
    assert_eq!(bench.heartbeat(&back.member_id, 2), Ok(()), "the new member id was written");
}

#[test]
fn a_static_leader_that_restarts_does_not_assign_again() {
    let mut bench = bench();
    let (a, b) = static_group(&mut bench);
    let old_client = answer(&mut bench.join(static_join_request("a", ""), 8)).unwrap();
    assert_eq!(old_client.leader, a, "under its old id, so that it takes itself for a follower");
    assert!(old_client.members.is_empty() && !old_client.skip_assignment);
    let new_client = answer(&mut bench.join(static_join_request("a", ""), 9)).unwrap();
    assert_eq!(new_client.leader, new_client.member_id);
    assert!(new_client.skip_assignment);
    assert_eq!(new_client.members.len(), 2);
    assert_eq!(answer(&mut bench.sync(sync_request(&new_client.member_id, 2, &[]))).unwrap().assignment, "A");
    assert_eq!(bench.heartbeat(&b, 2), Ok(()));
}

#[test]
fn a_static_member_that_comes_back_with_other_topics_causes_a_rebalance() {
    let mut bench = bench();
    let (a, _) = static_group(&mut bench);
    let mut request = static_join_request("b", "");
    request.protocols = vec![protocol("range", subscription(&["refunds"]))];
    let mut back = bench.join(request, 5);
    assert!(parked(&mut back));
    assert_eq!(answer(&mut bench.join(static_join_request("a", &a), 5)).unwrap().generation_id, 3);
    assert_eq!(answer(&mut back).unwrap().generation_id, 3);
}

#[test]
fn the_parked_join_of_a_replaced_static_member_is_fenced() {
    let mut bench = Bench::new();
    let mut old = bench.join(static_join_request("a", ""), 5);
    let mut new = bench.join(static_join_request("a", ""), 5);
    assert_eq!(answer(&mut old).unwrap_err(), ErrorCode::FencedInstanceId);
    bench.advance(10_000);
    let joined = answer(&mut new).unwrap();
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.leader, joined.member_id);
}

#[test]
fn a_static_member_survives_a_rebalance_it_misses_until_its_session_ends() {
    let mut bench = bench();
    let (a, b) = static_group(&mut bench);
    let mut newcomer = bench.join(static_join_request("c", ""), 5);
    let mut a_again = bench.join(static_join_request("a", &a), 5);
    bench.advance(9_999);
    assert!(parked(&mut newcomer) && parked(&mut a_again));
    bench.advance(1);
    let joined = answer(&mut a_again).unwrap();
    assert_eq!(joined.members.len(), 2, "its session ended, so the rebalance goes on without it");
    assert_eq!(bench.heartbeat(&b, 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(answer(&mut newcomer).unwrap().generation_id, 3);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut bench = bench();
    let (a, b) = static_group(&mut bench);
    let left = leave(&mut bench, &[("wrong", Some("b")), ("", Some("b")), ("", Some("nobody"))]);
    let codes: Vec<i16> = left.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [ErrorCode::FencedInstanceId.code(), 0, ErrorCode::UnknownMemberId.code()]);
    assert_eq!(bench.heartbeat(&b, 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.heartbeat(&a, 2), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_new_member_whose_client_is_gone_is_dropped_after_five_minutes() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 1);
    let request = milena_protocol::messages::JoinGroupRequest { rebalance_timeout_ms: 1_000_000, ..join_request("") };
    let mut gone = bench.join(request, 3);
    for _ in 0..33 {
        bench.advance(9_000);
        let _ = bench.heartbeat(&members[0], 1);
    }
    assert!(parked(&mut gone));
    bench.advance(3_000);
    assert_eq!(answer(&mut gone).unwrap_err(), ErrorCode::UnknownMemberId);
}

#[test]
fn a_stable_group_is_there_after_a_restart_with_sessions_that_run() {
    let mut bench = bench();
    let members = stable_group(&mut bench, 2);
    bench.compact();
    bench.restart();
    assert_eq!(state(&bench), "Stable");
    assert_eq!(bench.heartbeat(&members[0], 2), Ok(()));
    let synced = answer(&mut bench.sync(sync_request(&members[1], 2, &[]))).unwrap();
    assert_eq!(synced.assignment, "partitions");
    bench.advance(10_001);
    assert_eq!(state(&bench), "Empty", "nobody was heard of again");
}

#[test]
fn version_0_uses_the_session_timeout_for_rebalances() {
    let mut bench = bench();
    let request = milena_protocol::messages::JoinGroupRequest { rebalance_timeout_ms: -1, ..join_request("") };
    let leader = answer(&mut bench.join(request.clone(), 0)).unwrap().member_id;
    answer(&mut bench.sync(sync_request(&leader, 1, &[]))).unwrap();
    let mut newcomer = bench.join(request, 0);
    bench.advance(5_000);
    let _ = bench.heartbeat(&leader, 1);
    assert!(parked(&mut newcomer));
    bench.advance(5_000);
    assert_eq!(answer(&mut newcomer).unwrap().members.len(), 1);
}
