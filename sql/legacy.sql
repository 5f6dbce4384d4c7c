-- legacy: an ISPyB as it was before externalId, for the demo and the tests. Never run it on a real database.
--
-- Only the tables that the sync touches, and one or two beside each that point at them. The column names,
-- lengths and keys are those of the older ESRF schema; the rows are invented. What makes it old:
-- no externalId on any table, BLSession.beamLineSetupId NOT NULL, latin1 throughout, a zero default for
-- BLSession.lastUpdate, and rows that somebody typed in by hand.

-- name: allow_zero_date
-- BLSession.lastUpdate has the default '0000-00-00 00:00:00', which NO_ZERO_DATE forbids.
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';

-- name: create_laboratory
CREATE TABLE Laboratory (
    laboratoryId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    laboratoryUUID VARCHAR(45) NULL,
    name VARCHAR(45) NULL,
    address VARCHAR(255) NULL,
    city VARCHAR(45) NULL,
    country VARCHAR(45) NULL,
    url VARCHAR(255) NULL,
    organization VARCHAR(45) NULL,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    laboratoryExtPk INT(10) UNSIGNED NULL
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_person
CREATE TABLE Person (
    personId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    laboratoryId INT(10) UNSIGNED NULL,
    siteId INT(11) NULL,
    personUUID VARCHAR(45) NULL,
    familyName VARCHAR(100) NULL,
    givenName VARCHAR(45) NULL,
    title VARCHAR(45) NULL,
    emailAddress VARCHAR(60) NULL,
    phoneNumber VARCHAR(45) NULL,
    login VARCHAR(45) NULL,
    passwd VARCHAR(45) NULL,
    faxNumber VARCHAR(45) NULL,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY Person_FKIndex1 (laboratoryId),
    KEY Person_FKIndexFamilyName (familyName),
    KEY Person_FKIndex_Login (login),
    KEY siteId (siteId),
    CONSTRAINT Person_ibfk_1 FOREIGN KEY (laboratoryId) REFERENCES Laboratory (laboratoryId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_proposal
CREATE TABLE Proposal (
    proposalId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    personId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    title VARCHAR(200) NULL,
    proposalCode VARCHAR(45) NULL,
    proposalNumber VARCHAR(45) NULL,
    proposalType VARCHAR(2) NULL,
    bltimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    state ENUM('Open', 'Closed', 'Cancelled') NULL DEFAULT 'Open',
    KEY Proposal_FKIndex1 (personId),
    KEY Proposal_FKIndexCodeNumber (proposalCode, proposalNumber),
    CONSTRAINT Proposal_ibfk_1 FOREIGN KEY (personId) REFERENCES Person (personId)
    ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_proposal_has_person
CREATE TABLE ProposalHasPerson (
    proposalHasPersonId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    proposalId INT(10) UNSIGNED NOT NULL,
    personId INT(10) UNSIGNED NOT NULL,
    KEY fk_ProposalHasPerson_Proposal (proposalId),
    KEY fk_ProposalHasPerson_Personal (personId),
    CONSTRAINT fk_ProposalHasPerson_Proposal FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId),
    CONSTRAINT fk_ProposalHasPerson_Personal FOREIGN KEY (personId) REFERENCES Person (personId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_beam_line_setup
CREATE TABLE BeamLineSetup (
    beamLineSetupId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    synchrotronName VARCHAR(255) NULL,
    synchrotronMode VARCHAR(255) NULL,
    undulatorType1 VARCHAR(45) NULL,
    monochromatorType VARCHAR(255) NULL,
    setupDate DATETIME NULL
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_session
CREATE TABLE BLSession (
    sessionId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    expSessionPk INT(10) UNSIGNED NULL,
    beamLineSetupId INT(10) UNSIGNED NOT NULL COMMENT 'the beamline''s setup, see BeamLineSetup',
    proposalId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    projectCode VARCHAR(45) NULL,
    startDate DATETIME NULL,
    endDate DATETIME NULL,
    beamLineName VARCHAR(45) NULL,
    scheduled TINYINT(1) NULL,
    nbShifts INT(10) UNSIGNED NULL,
    comments VARCHAR(2000) NULL,
    beamLineOperator VARCHAR(255) NULL,
    visit_number INT(10) UNSIGNED NULL DEFAULT 0,
    bltimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    usedFlag TINYINT(1) NULL COMMENT 'set once the session has data collections',
    sessionTitle VARCHAR(255) NULL,
    structureDeterminations FLOAT NULL,
    dewarTransport FLOAT NULL,
    databackupFrance FLOAT NULL,
    databackupEurope FLOAT NULL,
    operatorSiteNumber VARCHAR(10) NULL,
    lastUpdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
    protectedData VARCHAR(1024) NULL,
    nbReimbDewars INT(10) UNSIGNED NULL,
    KEY Session_FKIndex1 (proposalId),
    KEY Session_FKIndex2 (beamLineSetupId),
    KEY Session_FKIndexStartDate (startDate),
    KEY Session_FKIndexEndDate (endDate),
    KEY Session_FKIndexBeamLineName (beamLineName),
    KEY BLSession_FKIndexOperatorSiteNumber (operatorSiteNumber),
    CONSTRAINT BLSession_ibfk_1 FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
    ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT BLSession_ibfk_2 FOREIGN KEY (beamLineSetupId) REFERENCES BeamLineSetup (beamLineSetupId)
    ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_session_has_person
CREATE TABLE Session_has_Person (
    sessionId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    personId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    role ENUM(
        'Local Contact', 'Local Contact 2', 'Staff', 'Team Leader', 'Co-Investigator',
        'Principal Investigator', 'Alternate Contact'
    ) NULL,
    remote TINYINT(1) NULL DEFAULT 0,
    PRIMARY KEY (sessionId, personId),
    KEY Session_has_Person_FKIndex2 (personId),
    CONSTRAINT Session_has_Person_ibfk_1 FOREIGN KEY (sessionId) REFERENCES BLSession (sessionId)
    ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT Session_has_Person_ibfk_2 FOREIGN KEY (personId) REFERENCES Person (personId)
    ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_protein
CREATE TABLE Protein (
    proteinId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    proposalId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    name VARCHAR(255) NULL,
    acronym VARCHAR(45) NULL,
    safetyLevel ENUM('GREEN', 'YELLOW', 'RED') NULL,
    molecularMass DOUBLE NULL,
    proteinType VARCHAR(45) NULL,
    sequence TEXT NULL,
    personId INT(10) UNSIGNED NULL,
    bltimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    isCreatedBySampleSheet TINYINT(1) NULL DEFAULT 0,
    modId VARCHAR(20) NULL,
    KEY Protein_FKIndex1 (proposalId),
    KEY Protein_FKIndex2 (personId),
    KEY ProteinAcronym_Index (proposalId, acronym),
    CONSTRAINT Protein_ibfk_1 FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
    ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_lab_contact
CREATE TABLE LabContact (
    labContactId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    personId INT(10) UNSIGNED NOT NULL,
    cardName VARCHAR(40) NOT NULL,
    proposalId INT(10) UNSIGNED NOT NULL,
    defaultCourrierCompany VARCHAR(45) NULL,
    courierAccount VARCHAR(45) NULL,
    billingReference VARCHAR(45) NULL,
    dewarAvgCustomsValue INT(10) UNSIGNED NOT NULL DEFAULT 0,
    dewarAvgTransportValue INT(10) UNSIGNED NOT NULL DEFAULT 0,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY personAndProposal (personId, proposalId),
    UNIQUE KEY cardNameAndProposal (cardName, proposalId),
    KEY LabContact_FKIndex1 (proposalId),
    CONSTRAINT LabContact_ibfk_1 FOREIGN KEY (personId) REFERENCES Person (personId),
    CONSTRAINT LabContact_ibfk_2 FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_shipping
-- Deleting a lab contact would take its shippings along.
CREATE TABLE Shipping (
    shippingId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    proposalId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    shippingName VARCHAR(45) NULL,
    shippingStatus VARCHAR(45) NULL,
    creationDate DATETIME NULL,
    sendingLabContactId INT(10) UNSIGNED NULL,
    returnLabContactId INT(10) UNSIGNED NULL,
    KEY Shipping_FKIndex1 (proposalId),
    KEY Shipping_FKIndex2 (sendingLabContactId),
    KEY Shipping_FKIndex3 (returnLabContactId),
    CONSTRAINT Shipping_ibfk_1 FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
    ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT Shipping_ibfk_2 FOREIGN KEY (sendingLabContactId) REFERENCES LabContact (labContactId)
    ON DELETE CASCADE,
    CONSTRAINT Shipping_ibfk_3 FOREIGN KEY (returnLabContactId) REFERENCES LabContact (labContactId)
    ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: create_data_collection_group
-- Deleting a session would take its data collections along.
CREATE TABLE DataCollectionGroup (
    dataCollectionGroupId INT(11) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sessionId INT(10) UNSIGNED NOT NULL,
    startTime DATETIME NULL,
    endTime DATETIME NULL,
    comments VARCHAR(1024) NULL,
    KEY DataCollectionGroup_FKIndex1 (sessionId),
    CONSTRAINT DataCollectionGroup_ibfk_1 FOREIGN KEY (sessionId) REFERENCES BLSession (sessionId)
    ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

-- name: insert_laboratory
-- The first two are one laboratory that was typed in twice.
INSERT INTO Laboratory (laboratoryId, name, address, city, country, laboratoryExtPk) VALUES
(1, 'Institute of Structural Biology', '71 avenue des Martyrs', 'Grenoble', 'France', NULL),
(2, 'institute of structural biology', '71 av. des Martyrs', 'Grenoble', 'France', NULL),
(3, 'University of Trieste', 'Piazzale Europa 1', 'Trieste', 'Italy', 412),
(4, 'Lund Protein Centre', NULL, 'Lund', 'Sweden', NULL);

-- name: insert_person
-- The people without a login were made for a shipment; one is a namesake of the first.
INSERT INTO Person
(personId, laboratoryId, familyName, givenName, emailAddress, phoneNumber, login, siteId)
VALUES
(1, 1, 'weaver', 'Alice', 'alice.weaver@example.org', NULL, 'aweaver', NULL),
(2, 4, 'Lindström', 'Björn', 'b.lindstrom@example.org', '+46 46 000 00 00', 'blindstrom', NULL),
(3, 3, 'Rossi', 'Chiara', NULL, NULL, 'crossi', 3003),
(4, 3, 'Vogel', 'Dieter', 'vogel@example.org', NULL, NULL, NULL),
(5, 2, 'Weaver', 'Alice', NULL, '04 00 00 00 00', NULL, NULL),
(6, 1, 'Haddad', 'Farid', 'farid.haddad@example.org', NULL, 'fhaddad', NULL);

-- name: insert_proposal
INSERT INTO Proposal (proposalId, personId, title, proposalCode, proposalNumber, proposalType, state) VALUES
(1, 1, 'Structure of a heat shock protein', 'MX', '2101', 'MX', 'Open'),
(2, 3, 'Membrane transporters', 'MX', '2102', 'MX', 'Open'),
(3, 6, 'In-house research', 'IH', '77', 'MX', 'Closed');

-- name: insert_proposal_has_person
INSERT INTO ProposalHasPerson (proposalId, personId) VALUES
(1, 1),
(1, 2),
(2, 3),
(3, 6);

-- name: insert_beam_line_setup
INSERT INTO BeamLineSetup (beamLineSetupId, synchrotronName, monochromatorType, setupDate) VALUES
(1, 'ESRF', 'Si111', '2023-01-16 08:00:00');

-- name: insert_session
INSERT INTO BLSession (
    sessionId, expSessionPk, beamLineSetupId, proposalId, startDate, endDate, beamLineName, scheduled,
    nbShifts, comments, visit_number, lastUpdate
) VALUES
(
    1, 90011, 1, 1, '2024-03-05 08:30:00', '2024-03-06 08:00:00', 'ID23-1', 1,
    3, 'Good crystals', 1, '2024-03-06 08:00:00'
),
(
    2, NULL, 1, 2, '2024-03-12 08:30:00', '2024-03-12 16:30:00', 'ID30B', 1,
    1, NULL, 1, '2024-03-12 16:30:00'
);

-- name: insert_session_has_person
INSERT INTO Session_has_Person (sessionId, personId, role, remote) VALUES
(1, 1, 'Principal Investigator', 0),
(1, 2, 'Co-Investigator', 1),
(2, 3, NULL, 0);

-- name: insert_data_collection_group
INSERT INTO DataCollectionGroup (sessionId, startTime, endTime, comments) VALUES
(1, '2024-03-05 11:02:00', '2024-03-05 11:09:00', 'first crystal');

-- name: insert_protein
INSERT INTO Protein
(proteinId, proposalId, name, acronym, safetyLevel, molecularMass, sequence, personId)
VALUES
(1, 1, 'Heat shock protein 70', 'HSP70', 'GREEN', 70.0, NULL, 1),
(2, 1, 'Nucleotide binding domain', 'NBD', NULL, NULL, 'MAKAAAIGIDLGTTYSCV', NULL),
(3, 2, NULL, 'LacY', 'YELLOW', 46.5, NULL, 3);

-- name: insert_lab_contact
INSERT INTO LabContact
(labContactId, personId, cardName, proposalId, defaultCourrierCompany, courierAccount, dewarAvgCustomsValue)
VALUES
(1, 4, 'Vogel-Trieste', 2, 'Swift Parcels', '0042-77', 50);

-- name: insert_shipping
INSERT INTO Shipping
(proposalId, shippingName, shippingStatus, creationDate, sendingLabContactId, returnLabContactId)
VALUES
(2, 'LacY first batch', 'opened', '2024-03-01 09:00:00', 1, 1);
