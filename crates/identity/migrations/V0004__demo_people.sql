-- People that a new installation was filled with, so that there is something to see.
CREATE TABLE identity.demo_people (
  user_id        bigint PRIMARY KEY REFERENCES identity.users,
  known_password boolean NOT NULL DEFAULT false         -- the password is the one the first screen shows to everybody
);
