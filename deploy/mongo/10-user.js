// Runs once, on an empty store: the service's own user, who may read and write its own database and nothing else.
const { readFileSync } = require("fs");

const service = process.env.SERVICE;
db.getSiblingDB(`${process.env.DATABASE_PREFIX}${service}`).createUser({
  user: service,
  pwd: readFileSync("/run/secrets/mongo_user", "utf8").trim(),
  roles: ["readWrite"],
});
