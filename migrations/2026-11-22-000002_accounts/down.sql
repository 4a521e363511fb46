DROP TABLE phi.contacts;
DROP TABLE accounts;
