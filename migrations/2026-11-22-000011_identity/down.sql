DROP TABLE second_factor_tries;
DROP TABLE recovery_codes;
DROP TABLE totp_factors;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE account_links;
