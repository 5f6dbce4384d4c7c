-- esrf_2025: the ESRF's published schema of 2025.
--
-- The eight tables of the sync as information_schema describes them: columns, keys and references, and no rows. Of the
-- tables that these refer to, only the column that is referred to.
--
-- Some columns are utf8mb4 in tables that are latin1, a title has 2000 letters, and cardName may be NULL.

CREATE TABLE BeamCalendar (
    beamCalendarId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    PRIMARY KEY (beamCalendarId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE BeamLineSetup (
    beamLineSetupId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    PRIMARY KEY (beamLineSetupId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE ComponentType (
    componentTypeId INT(11) UNSIGNED NOT NULL AUTO_INCREMENT,
    PRIMARY KEY (componentTypeId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE Laboratory (
    laboratoryId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    laboratoryUUID VARCHAR(45) NULL,
    name VARCHAR(45) NULL,
    address VARCHAR(255) NULL,
    city VARCHAR(45) NULL,
    country VARCHAR(45) NULL,
    url VARCHAR(255) NULL,
    organization VARCHAR(45) NULL,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    laboratoryExtPk INT(10) NULL,
    PRIMARY KEY (laboratoryId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE Person (
    personId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    laboratoryId INT(10) UNSIGNED NULL,
    siteId INT(11) NULL,
    personUUID VARCHAR(45) NULL,
    familyName VARCHAR(45) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    givenName VARCHAR(45) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    title VARCHAR(45) NULL,
    emailAddress VARCHAR(60) NULL,
    phoneNumber VARCHAR(45) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    login VARCHAR(45) NULL,
    passwd VARCHAR(45) NULL,
    faxNumber VARCHAR(45) NULL,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    externalId BINARY(16) NULL,
    cache TEXT NULL,
    PRIMARY KEY (personId),
    KEY Person_FKIndex1 (laboratoryId),
    KEY Person_FKIndexFamilyName (familyName),
    KEY Person_FKIndex_Login (login),
    KEY siteId (siteId),
    FOREIGN KEY (laboratoryId) REFERENCES Laboratory (laboratoryId) ON DELETE NO ACTION ON UPDATE NO ACTION
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE Proposal (
    proposalId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    personId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    title VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    proposalCode VARCHAR(45) NULL,
    proposalNumber VARCHAR(45) NULL,
    proposalType VARCHAR(2) NULL,
    bltimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    externalId BINARY(16) NULL,
    state ENUM('Open', 'Closed', 'Cancelled') NULL DEFAULT 'Open',
    PRIMARY KEY (proposalId),
    KEY Proposal_FKIndex1 (personId),
    KEY Proposal_FKIndexCodeNumber (proposalCode, proposalNumber),
    FOREIGN KEY (personId) REFERENCES Person (personId) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE ProposalHasPerson (
    proposalHasPersonId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    proposalId INT(10) UNSIGNED NOT NULL,
    personId INT(10) UNSIGNED NOT NULL,
    PRIMARY KEY (proposalHasPersonId),
    KEY fk_ProposalHasPerson_Personal (personId),
    KEY fk_ProposalHasPerson_Proposal (proposalId),
    FOREIGN KEY (personId) REFERENCES Person (personId) ON DELETE NO ACTION ON UPDATE NO ACTION,
    FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId) ON DELETE NO ACTION ON UPDATE NO ACTION
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE BLSession (
    sessionId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    expSessionPk INT(11) UNSIGNED NULL,
    beamLineSetupId INT(10) UNSIGNED NULL,
    proposalId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    beamCalendarId INT(10) UNSIGNED NULL,
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
    usedFlag TINYINT(1) NULL,
    sessionTitle VARCHAR(255) NULL,
    structureDeterminations FLOAT NULL,
    dewarTransport FLOAT NULL,
    databackupFrance FLOAT NULL,
    databackupEurope FLOAT NULL,
    operatorSiteNumber VARCHAR(10) NULL,
    lastUpdate TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
    protectedData VARCHAR(1024) NULL,
    externalId BINARY(16) NULL,
    nbReimbDewars INT(10) NULL,
    PRIMARY KEY (sessionId),
    KEY BLSession_FKIndexOperatorSiteNumber (operatorSiteNumber),
    KEY BLSession_ibfk_3 (beamCalendarId),
    KEY Session_FKIndex1 (proposalId),
    KEY Session_FKIndex2 (beamLineSetupId),
    KEY Session_FKIndexBeamLineName (beamLineName),
    KEY Session_FKIndexEndDate (endDate),
    KEY Session_FKIndexStartDate (startDate),
    FOREIGN KEY (beamCalendarId) REFERENCES BeamCalendar (beamCalendarId),
    FOREIGN KEY (beamLineSetupId) REFERENCES BeamLineSetup (beamLineSetupId) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE Session_has_Person (
    sessionId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    personId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    role ENUM(
        'Local Contact', 'Local Contact 2', 'Staff', 'Team Leader', 'Co-Investigator', 'Principal Investigator',
        'Alternate Contact'
    ) NULL,
    remote TINYINT(1) NULL DEFAULT 0,
    PRIMARY KEY (sessionId, personId),
    KEY Session_has_Person_FKIndex1 (sessionId),
    KEY Session_has_Person_FKIndex2 (personId),
    FOREIGN KEY (personId) REFERENCES Person (personId) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (sessionId) REFERENCES BLSession (sessionId) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE Protein (
    proteinId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    proposalId INT(10) UNSIGNED NOT NULL DEFAULT 0,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    acronym VARCHAR(45) NULL,
    description TEXT NULL,
    hazardGroup TINYINT(3) UNSIGNED NOT NULL DEFAULT 1,
    containmentLevel TINYINT(3) UNSIGNED NOT NULL DEFAULT 1,
    safetyLevel ENUM('GREEN', 'YELLOW', 'RED') NULL,
    molecularMass DOUBLE NULL,
    proteinType VARCHAR(45) NULL,
    sequence TEXT NULL,
    personId INT(10) UNSIGNED NULL,
    bltimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    isCreatedBySampleSheet TINYINT(1) NULL DEFAULT 0,
    externalId BINARY(16) NULL,
    componentTypeId INT(11) UNSIGNED NULL,
    modId VARCHAR(20) NULL,
    concentrationTypeId INT(11) UNSIGNED NULL,
    `global` TINYINT(1) NULL DEFAULT 0,
    PRIMARY KEY (proteinId),
    KEY ProteinAcronym_Index (proposalId, acronym),
    KEY Protein_FKIndex1 (proposalId),
    KEY Protein_FKIndex2 (personId),
    KEY Protein_Index2 (acronym),
    KEY protein_fk3 (componentTypeId),
    FOREIGN KEY (componentTypeId) REFERENCES ComponentType (componentTypeId) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;

CREATE TABLE LabContact (
    labContactId INT(10) UNSIGNED NOT NULL AUTO_INCREMENT,
    personId INT(10) UNSIGNED NOT NULL,
    cardName VARCHAR(45) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL,
    proposalId INT(10) UNSIGNED NOT NULL,
    defaultCourrierCompany VARCHAR(45) NULL,
    courierAccount VARCHAR(45) NULL,
    billingReference VARCHAR(45) NULL,
    dewarAvgCustomsValue INT(10) UNSIGNED NOT NULL DEFAULT 0,
    dewarAvgTransportValue INT(10) UNSIGNED NOT NULL DEFAULT 0,
    recordTimeStamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (labContactId),
    UNIQUE KEY cardNameAndProposal (cardName, proposalId),
    UNIQUE KEY personAndProposal (personId, proposalId),
    KEY LabContact_FKIndex1 (proposalId),
    FOREIGN KEY (personId) REFERENCES Person (personId),
    FOREIGN KEY (proposalId) REFERENCES Proposal (proposalId)
) ENGINE = InnoDB DEFAULT CHARSET = latin1 COLLATE = latin1_swedish_ci;
