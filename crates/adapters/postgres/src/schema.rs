//! The tables that the query builder reads; kept by hand beside `migrations/`.

diesel::table! {
    accounts (id) {
        id -> Uuid,
        role -> Text,
        status -> Text,
        // Null once it is erased: whoever looks by address never meets that row, nor does whoever reads its contact details.
        email_index -> Bytea,
        email_verified_at -> Nullable<Timestamptz>,
        password_hash -> Nullable<Text>,
        password_set_at -> Nullable<Timestamptz>,
        time_zone -> Text,
        version -> BigInt,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    phi.contacts (account_id) {
        account_id -> Uuid,
        version -> BigInt,
        email -> Bytea,
        full_name -> Bytea,
        phone -> Nullable<Bytea>,
        date_of_birth -> Nullable<Bytea>,
        sex -> Nullable<Bytea>,
    }
}

diesel::table! {
    account_links (id) {
        id -> Uuid,
        account_id -> Uuid,
        purpose -> Text,
        digest -> Bytea,
        expires_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        account_id -> Uuid,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        idle_expires_at -> Timestamptz,
        expires_at -> Timestamptz,
        second_factor_at -> Nullable<Timestamptz>,
        label -> Text,
        ended_at -> Nullable<Timestamptz>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    refresh_tokens (digest) {
        digest -> Bytea,
        session_id -> Uuid,
        generation -> Integer,
        issued_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    doctors (id) {
        id -> Uuid,
        account_id -> Uuid,
        full_name -> Text,
        system -> Text,
        council -> Text,
        registration_number -> Text,
        registered_on -> Nullable<Date>,
        valid_until -> Nullable<Date>,
        qualifications -> Array<Text>,
        specializations -> Array<Text>,
        languages -> Array<Text>,
        modes -> Array<Text>,
        fee_amount -> BigInt,
        fee_currency -> Text,
        bio -> Text,
        time_zone -> Text,
        status -> Text,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    availability (doctor_id) {
        doctor_id -> Uuid,
        version -> BigInt,
        revision -> BigInt,
        generated_until -> Date,
    }
}

diesel::table! {
    availability_rules (doctor_id, position) {
        doctor_id -> Uuid,
        position -> Integer,
        weekday -> SmallInt,
        start_time -> Time,
        end_time -> Time,
        slot_minutes -> Integer,
        buffer_minutes -> Integer,
        modes -> Array<Text>,
        valid_from -> Nullable<Date>,
        valid_until -> Nullable<Date>,
    }
}

diesel::table! {
    time_off (id) {
        id -> Uuid,
        doctor_id -> Uuid,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    slots (id) {
        id -> Uuid,
        doctor_id -> Uuid,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        modes -> Array<Text>,
        status -> Text,
        consultation_id -> Nullable<Uuid>,
        held_until -> Nullable<Timestamptz>,
        outside_rules -> Bool,
        version -> BigInt,
        withdrawn -> Bool,
    }
}

diesel::table! {
    consultations (id, created_at) {
        id -> Uuid,
        created_at -> Timestamptz,
        patient_id -> Uuid,
        dependant_id -> Nullable<Uuid>,
        doctor_id -> Uuid,
        slot_id -> Uuid,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        mode -> Text,
        status -> Text,
        fee_amount -> BigInt,
        fee_currency -> Text,
        hold_expires_at -> Nullable<Timestamptz>,
        cancel_reason -> Nullable<Text>,
        least_notice_s -> Nullable<BigInt>,
        updated_at -> Timestamptz,
        version -> BigInt,
    }
}

diesel::table! {
    consultation_timeline (consultation_id, version, consultation_created_at) {
        consultation_id -> Uuid,
        consultation_created_at -> Timestamptz,
        version -> BigInt,
        at -> Timestamptz,
        kind -> Text,
        from_status -> Nullable<Text>,
        to_status -> Text,
        slot_id -> Uuid,
        actor -> Text,
        cause -> Text,
        event_id -> Uuid,
        correlation_id -> Text,
    }
}

diesel::table! {
    phi.visit_reasons (consultation_id) {
        consultation_id -> Uuid,
        patient_id -> Uuid,
        sealed -> Bytea,
    }
}

diesel::table! {
    phi.visit_summaries (consultation_id) {
        consultation_id -> Uuid,
        patient_id -> Uuid,
        sealed -> Bytea,
    }
}

diesel::table! {
    exports (id) {
        id -> Uuid,
        account_id -> Uuid,
        requested_at -> Timestamptz,
        state -> Text,
        failure -> Nullable<Text>,
        bytes -> Nullable<BigInt>,
        sha256 -> Nullable<Bytea>,
        changed_at -> Timestamptz,
        version -> BigInt,
    }
}

diesel::table! {
    phi.export_chunks (export_id, n) {
        export_id -> Uuid,
        n -> Integer,
        sealed -> Bytea,
    }
}

diesel::table! {
    erasures (account_id) {
        account_id -> Uuid,
        erased_at -> Timestamptz,
        last_visit -> Nullable<Timestamptz>,
        keep_until -> Timestamptz,
        rules -> Text,
        report -> Jsonb,
        state -> Text,
        destroyed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (caller_id, key) {
        caller_id -> Uuid,
        key -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    outbox (seq) {
        seq -> BigInt,
        event_id -> Uuid,
        aggregate_id -> Uuid,
        envelope -> Jsonb,
        requeue -> Nullable<Jsonb>,
        created_at -> Timestamptz,
        parked_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    inbox (consumer, event_id) {
        consumer -> Text,
        event_id -> Uuid,
        handled_at -> Timestamptz,
    }
}

diesel::table! {
    inbox_attempts (consumer, event_id) {
        consumer -> Text,
        event_id -> Uuid,
        attempts -> Integer,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    scheduled_messages (id) {
        id -> Uuid,
        next_attempt_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        attempts -> Integer,
        status -> Text,
        settled_at -> Nullable<Timestamptz>,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    payments (id) {
        id -> Uuid,
        look_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    payment_timeline (payment_id, version) {
        payment_id -> Uuid,
        version -> BigInt,
        at -> Timestamptz,
        kind -> Text,
        amount -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        actor -> Text,
        cause -> Text,
        evidence -> Jsonb,
        event_id -> Uuid,
        correlation_id -> Text,
    }
}

diesel::table! {
    audit_log (occurred_at, id) {
        idx -> BigInt,
        id -> Uuid,
        occurred_at -> Timestamptz,
        actor -> Text,
        actor_id -> Nullable<Uuid>,
        role -> Text,
        purpose -> Text,
        action -> Text,
        resource_kind -> Text,
        resource_id -> Text,
        patient_id -> Nullable<Uuid>,
        outcome -> Text,
        correlation_id -> Text,
        origin -> Nullable<Text>,
        ruleset -> Nullable<Text>,
        break_glass -> Bool,
    }
}

diesel::table! {
    reconciliations (gateway, starts_at) {
        gateway -> Text,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        compared -> BigInt,
        differences -> BigInt,
    }
}

diesel::table! {
    keys.keks (id) {
        id -> Text,
        first_used_at -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    audit_tiles (level, idx) {
        level -> SmallInt,
        idx -> BigInt,
        hashes -> Bytea,
    }
}

diesel::table! {
    keys.owners (owner_id) {
        owner_id -> Uuid,
        version -> Integer,
        made_at -> Timestamptz,
        seals -> BigInt,
        destroyed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    audit_checkpoints (size) {
        size -> BigInt,
        note -> Text,
    }
}

diesel::table! {
    keys.data_keys (owner_id, version) {
        owner_id -> Uuid,
        version -> Integer,
        kek_id -> Text,
        wrapped -> Bytea,
        check_value -> Bytea,
    }
}

diesel::table! {
    audit_cosignatures (size, witness) {
        size -> BigInt,
        witness -> Text,
        line -> Text,
    }
}

diesel::table! {
    audit_head (one) {
        one -> Bool,
        size -> BigInt,
    }
}

diesel::joinable!(consultations -> doctors (doctor_id));
diesel::joinable!(contacts -> accounts (account_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::allow_tables_to_appear_in_same_query!(consultations, doctors, availability, availability_rules, slots);
diesel::allow_tables_to_appear_in_same_query!(accounts, contacts);
diesel::allow_tables_to_appear_in_same_query!(sessions, refresh_tokens);
diesel::allow_tables_to_appear_in_same_query!(audit_log, audit_head, audit_checkpoints);
