-- What a person asks of a deploy at another server than the one that conducts it, until that one has answered
CREATE TABLE deploy_asks (
    id BIGINT PRIMARY KEY,
    deploy BIGINT NOT NULL,
    word TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    taken BIGINT NOT NULL,
    answer TEXT
);
CREATE INDEX deploy_asks_by_deploy ON deploy_asks (deploy);
